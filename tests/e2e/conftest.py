"""The e2e tests run against a whole platform of their own: `SLIPWAY_INSTANCE` (by default
slipway-test), brought up by `make test` the way a user brings one up."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.e2e.api import Api
from tests.e2e.engine import container_of, docker
from tests.e2e.instance import INSTANCE, ROOT, service
from tests.e2e.repositories import GitServer, served
from tests.e2e.services import Image


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


@pytest.fixture(scope="session")
def stranger(settings: dict[str, str]) -> Api:
    """An owner's token in another organization, made for the tests by the person who may."""
    person = {"email": settings["SLIPWAY_EMAIL"], "password": settings["SLIPWAY_PASSWORD"]}
    with httpx2.Client(base_url=settings["SLIPWAY_URL"], timeout=30) as http:
        assert http.post("/v1/sessions", json=person).status_code == 201
        made = http.post("/v1/organizations", json={"name": f"strangers {uuid.uuid4().hex[:6]}"})
        assert made.status_code == 201, made.text
        there = {"Slipway-Organization": made.json()["id"]}
        wanted = {"name": "e2e", "role": "owner"}
        token = http.post("/v1/tokens", json=wanted, headers=there)
        assert token.status_code == 201, token.text
        assert http.delete("/v1/sessions/current").status_code == 204
    return Api(settings["SLIPWAY_URL"], token.json()["token"])


@pytest.fixture(scope="session")
def git_server(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with served(api, tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="module")
def project(api: Api) -> Iterator[dict[str, Any]]:
    made = api.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
    yield made
    api.ok("DELETE", f"/v1/projects/{made['id']}")
    api.gone(f"/v1/projects/{made['id']}")


@pytest.fixture(scope="module")
def environment(project: dict[str, Any]) -> str:
    return project["environments"][0]["id"]


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """The service under test, version `image`, on the engine already. It goes after all that
    runs it: before, only its name would."""
    made = Image("image", on_term="drain")
    yield made
    made.remove()


@pytest.fixture(scope="session")
def http_get(http_address: str) -> Callable[..., tuple[int, str]]:
    """GET by Host header through the public entry: (status, body)."""

    def get(host: str, path: str = "/") -> tuple[int, str]:
        answer = httpx2.get(f"http://{http_address}{path}", headers={"Host": host}, timeout=15)
        return answer.status_code, answer.text

    return get


@pytest.fixture(scope="session")
def version_of(http_get: Callable[..., tuple[int, str]]) -> Callable[[str], str | None]:
    """The version that answers at a host, None when none does."""

    def version(host: str) -> str | None:
        status, body = http_get(host)
        return json.loads(body)["version"] if status == 200 else None

    return version


@pytest.fixture
def failpoints() -> Iterator[Callable[[str, str], None]]:
    """Arms fail points of a service of this instance by a file in its container."""
    armed: list[str] = []

    def arm(name: str, points: str) -> None:
        container = container_of(service(name))
        docker("exec", "-i", container, "tee", "/tmp/failpoints", input_=points)
        armed.append(name)

    yield arm
    for name in armed:
        docker("exec", container_of(service(name)), "rm", "-f", "/tmp/failpoints")
