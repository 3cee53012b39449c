"""Repositories of the tests, pushed to by git and served over smart HTTP."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.e2e.api import Api
from tests.e2e.engine import inspect
from tests.e2e.git_server import LFS, pointer
from tests.e2e.instance import HERE, ROOT
from tests.e2e.reach import let_out


def git(*argv: str, cwd: Path | None = None) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *identity, *argv], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"git {' '.join(argv)}: {done.stderr}"
    return done.stdout


def run(code: str, *argv: str) -> str:
    """A RUN step that runs the Python `code` unbuffered, with `argv` in its command line."""
    return "RUN " + json.dumps(["python", "-u", "-c", code, *argv])


def slow(seconds: float) -> str:
    """A step that takes so long, and is never taken from the cache."""
    return run(f"import time; time.sleep({seconds})", uuid.uuid4().hex)


def printing(lines: int, every: float, *argv: str) -> str:
    """A step that prints `line 0`, `line 1` … one after another; never taken from the cache."""
    code = f"import time\nfor n in range({lines}): print('line', n); time.sleep({every})"
    return run(code, *(argv or (uuid.uuid4().hex,)))


class Repository:
    def __init__(self, url: str, work: Path) -> None:
        self.url, self.work = url, work

    def push(self, files: dict[str, str], message: str = "change", branch: str = "main") -> str:
        """Write the files, commit, push; the commit's hash."""
        git("checkout", "-q", "-B", branch, cwd=self.work)
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git("add", "-A", cwd=self.work)
        git("commit", "-q", "--allow-empty", "-m", message, cwd=self.work)
        git("push", "-q", "origin", branch, cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work).strip()

    def behave(self, version: str, *steps: str, **behaviour: Any) -> str:
        """Push the service under test with that behaviour; `steps` are lines that its
        Dockerfile has more."""
        first, *rest = (HERE / "app/Dockerfile").read_text().splitlines()
        return self.push(
            {
                "app.py": (HERE / "app/app.py").read_text(),
                "Dockerfile": "\n".join([first, *steps, *rest, ""]),
                "behaviour.json": json.dumps({"version": version, **behaviour}),
            },
            f"version {version}",
        )


class GitServer:
    """Served from the bridge that every service reaches, read-only."""

    def __init__(self, root: Path, address: str) -> None:
        self.root, self.address = root, address

    def repository(self) -> Repository:
        name = f"app-{uuid.uuid4().hex[:8]}"
        work = self.root / "work" / name
        bare = self.root / "served" / f"{name}.git"
        git("init", "-q", "-b", "main", "--bare", str(bare))
        git("clone", "-q", str(bare), str(work))
        return Repository(f"http://{self.address}/{name}.git", work)

    def moved(self, to: str) -> str:
        """The address of a repository that leads there."""
        return f"http://{self.address}/moved/{quote(to, safe='')}"

    def lfs(self, content: bytes) -> str:
        """What stands in a repository for a file that is kept in LFS."""
        return pointer(self.root / "served", content)

    def forget(self, pointer: str) -> None:
        """Its content is not there any more."""
        hash_ = pointer.partition("sha256:")[2].split()[0]
        (self.root / "served" / LFS / hash_).unlink()


@contextmanager
def served(api: Api, root: Path) -> Iterator[GitServer]:
    """By a program, which builds are let out to, until the end; `root` goes then."""
    (root / "served").mkdir(parents=True)
    gateway = inspect("network", "docker_gwbridge")["IPAM"]["Config"][0]["Gateway"]
    argv = [sys.executable, "-m", "tests.e2e.git_server", "--root", str(root / "served")]
    path = os.pathsep.join([str(ROOT), str(ROOT / "infra/install")])
    process = subprocess.Popen(
        [*argv, "--bind", gateway, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip().rpartition(":")[2]
    try:
        with let_out(api, f"{gateway}:{port}"):
            yield GitServer(root, f"{gateway}:{port}")
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(root, ignore_errors=True)
