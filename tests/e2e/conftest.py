"""The e2e tests run against a whole platform of their own: `SLIPWAY_INSTANCE` (by default
slipway-test), brought up by `make test` the way a user brings one up."""

import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import docker, eventually, inspect

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
INSTANCE = os.environ.get("SLIPWAY_INSTANCE", "slipway-test")
CONTROL_NETWORK = f"{INSTANCE}_control"


@pytest.fixture(scope="session")
def settings() -> dict[str, str]:
    name = "env" if INSTANCE == "slipway" else f"{INSTANCE}.env"
    file = ROOT / ".slipway" / name
    assert file.is_file(), f"{file} is missing: SLIPWAY_INSTANCE={INSTANCE} make up"
    pairs = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {key: value.strip("'\"") for key, _, value in pairs}


@pytest.fixture(scope="session")
def http_address(settings: dict[str, str]) -> str:
    """host:port of the public HTTP entry."""
    port = settings["SAMPLE_URL"].rstrip("/").rpartition(":")[2]
    return f"127.0.0.1:{port if port.isdigit() else 80}"


@pytest.fixture(scope="session")
def api(settings: dict[str, str]) -> Api:
    return Api(settings["SLIPWAY_URL"], settings["SLIPWAY_TOKEN"])


class GitServer:
    """Repositories of the tests, served over smart HTTP from the bridge every service reaches."""

    def __init__(self, root: Path, address: str) -> None:
        self.root, self.address = root, address

    def repository(self) -> "Repository":
        name = f"app-{uuid.uuid4().hex[:8]}"
        work = self.root / "work" / name
        bare = self.root / "served" / f"{name}.git"
        git("init", "-q", "-b", "main", "--bare", str(bare))
        git("clone", "-q", str(bare), str(work))
        return Repository(f"http://{self.address}/{name}.git", work)


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

    def behave(self, version: str, **behaviour: Any) -> str:
        """Push the application under test with that behaviour."""
        files = {name: (HERE / "app" / name).read_text() for name in ("app.py", "Dockerfile")}
        files["behaviour.json"] = json.dumps({"version": version, **behaviour})
        return self.push(files, f"version {version}")


def git(*argv: str, cwd: Path | None = None) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *identity, *argv], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"git {' '.join(argv)}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    root = tmp_path_factory.mktemp("git")
    (root / "served").mkdir()
    gateway = inspect("network", "docker_gwbridge")["IPAM"]["Config"][0]["Gateway"]
    program = ROOT / "infra/install/slipway_install/git_http.py"
    process = subprocess.Popen(
        [sys.executable, str(program), "--root", str(root / "served"), "--bind", gateway, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip().rpartition(":")[2]
    try:
        yield GitServer(root, f"{gateway}:{port}")
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(root, ignore_errors=True)


class Application:
    """One application of the tests with a repository and a host of its own."""

    def __init__(self, api: Api, environment: str, repository: Repository | None, **body: Any) -> None:
        self.api, self.repository, self.environment = api, repository, environment
        self.name = f"web-{uuid.uuid4().hex[:6]}"
        self.host = f"{self.name}.localhost"
        if repository is not None:
            body = {"source": {"kind": "git", "url": repository.url, "branch": "main"}, **body}
        self.id = api.post(
            f"/v1/environments/{environment}/applications", {"name": self.name, **body}
        )["id"]
        api.post(f"/v1/applications/{self.id}/domains", {"host": self.host})

    @property
    def path(self) -> str:
        return f"/v1/applications/{self.id}"

    def patch(self, **body: Any) -> Any:
        return self.api.patch(self.path, body)

    def live(self, **body: Any) -> dict[str, Any]:
        return self.api.live(self.id, **body)

    def deploy(self, **body: Any) -> str:
        return self.api.deploy(self.id, **body)


@pytest.fixture(scope="module")
def project(api: Api) -> Iterator[dict[str, Any]]:
    made = api.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
    yield made
    api.ok("DELETE", f"/v1/projects/{made['id']}")
    api.gone(f"/v1/projects/{made['id']}")


@pytest.fixture(scope="module")
def environment(project: dict[str, Any]) -> str:
    return project["environments"][0]["id"]


class Loads:
    """Loads that run beside a test; each is ended and checked by `stop`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._output = self._process.stdout.read()

    def stop(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._reader.join(10)
        return json.loads(self._output)


def load_from_outside(address: str, host: str, *, rate: float = 220, seconds: float = 170) -> Loads:
    argv = [sys.executable, str(HERE / "load.py"), "--until-eof", "--address", address]
    argv += ["--host", host, "--rate", str(rate), "--seconds", str(seconds)]
    return Loads(
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )


def network_of(environment: str) -> str:
    return f"{INSTANCE}_env_{environment}"


def load_from_inside(
    environment: str, name: str, port: int, *, rate: float = 220, seconds: float = 170
) -> Loads:
    """The same load from a container of the environment, by the service's name."""
    code = (HERE / "load.py").read_text()
    argv = ["docker", "run", "--rm", "-i", "--network", network_of(environment)]
    argv += ["--label", f"slipway-e2e={INSTANCE}", "python:3.13-slim", "python", "-c", code]
    argv += ["--until-eof", "--address", f"{name}:{port}", "--host", name]
    argv += ["--rate", str(rate), "--seconds", str(seconds)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return Loads(process)


@pytest.fixture
def http_get(http_address: str) -> Any:
    """GET by Host header through the public entry: (status, body)."""
    import httpx2

    def get(host: str, path: str = "/") -> tuple[int, str]:
        answer = httpx2.get(f"http://{http_address}{path}", headers={"Host": host}, timeout=15)
        return answer.status_code, answer.text

    return get


@pytest.fixture
def failpoints() -> Iterator[Any]:
    """Arms fail points of a service of this instance by a file in its container."""
    armed: list[str] = []

    def arm(service: str, points: str) -> None:
        from tests.e2e.engine import container_of

        container = container_of(f"{INSTANCE}_{service}")
        docker("exec", "-i", container, "tee", "/tmp/failpoints", input_=points)
        armed.append(service)

    yield arm
    from tests.e2e.engine import container_of

    for service in armed:
        container = container_of(f"{INSTANCE}_{service}")
        docker("exec", container, "rm", "-f", "/tmp/failpoints")


__all__ = ["eventually"]
