"""The git server with a real git: clones, and refuses everything else."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from slipway_install.git_http import serve


def git(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(
        ["git", *identity, *argv], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    served = tmp_path / "served"
    served.mkdir()
    git(served, "init", "-q", "--bare", "-b", "main", "app.git")
    git(tmp_path, "clone", "-q", str(served / "app.git"), "work")
    (tmp_path / "work" / "file").write_text("hello")
    git(tmp_path / "work", "add", "file")
    git(tmp_path / "work", "commit", "-q", "-m", "one")
    git(tmp_path / "work", "push", "-q", "origin", "HEAD:main")
    server = serve(served, "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("version", ["0", "2"])
def test_a_shallow_clone(url: str, tmp_path: Path, version: str):
    protocol = f"protocol.version={version}"
    done = git(tmp_path, "-c", protocol, "clone", "-q", "--depth", "1", f"{url}/app.git", "got")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got" / "file").read_text() == "hello"


def test_an_unknown_repository(url: str, tmp_path: Path):
    assert "not found" in git(tmp_path, "ls-remote", f"{url}/other.git").stderr


def test_nothing_can_be_pushed(url: str, tmp_path: Path):
    done = git(tmp_path / "work", "push", f"{url}/app.git", "HEAD:other")
    assert done.returncode != 0
    assert "403" in done.stderr


def test_no_way_out_of_the_folder(url: str, tmp_path: Path):
    assert git(tmp_path, "ls-remote", f"{url}/..%2fwork").returncode != 0
    assert git(tmp_path, "ls-remote", f"{url}/../work").returncode != 0
