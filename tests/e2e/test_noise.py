"""Builds of one organization do their worst; another one notices nothing of it."""

import threading
import time
import uuid
from types import TracebackType
from typing import Self

import pytest
from slipway.contracts import labels

from tests.e2e.api import ENDED, Api
from tests.e2e.engine import docker, eventually
from tests.e2e.instance import INSTANCE
from tests.e2e.loads import load_from_outside, unharmed
from tests.e2e.repositories import GitServer
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

SECONDS = 8.0
"""That they go on before the other one's build is asked for. Tried once with 60."""
GOES_ON = """
import os, sys

def processors():
    for _ in range(8):
        if not os.fork():
            break
    while True:
        pass

def processes():
    while True:
        try:
            os.fork()
        except OSError:
            pass

def memory():
    held = [bytearray(1 << 20) for _ in range(1 << 10)]
    while True:
        for part in held:
            part[::4096] = bytes(256)

def disk():
    while True:
        with open("/big", "wb") as file:
            for _ in range(512):
                file.write(os.urandom(1 << 16) * 16)
            os.fsync(file.fileno())

def output():
    while True:
        os.write(1, b"noise " * 10000 + b"\\n")

globals()[sys.argv[1]]()
"""
KINDS = ("processors", "processes", "memory", "disk", "output")


def worst() -> dict[str, str]:
    """All at once, each in a stage of its own; never taken from the cache."""
    base = "FROM python:3.13-slim AS base\nCOPY goes_on.py .\n"
    stages = [
        f'FROM base AS {kind}\nRUN ["python", "goes_on.py", "{kind}", "{uuid.uuid4().hex}"]\n'
        for kind in KINDS
    ]
    copies = [f"COPY --from={kind} /etc/hostname /{kind}\n" for kind in KINDS]
    return {"goes_on.py": GOES_ON, "Dockerfile": "".join((base, *stages, "FROM base\n", *copies))}


class Noise:
    """Two such builds at any time, as many as one organization has; those that a limit ended are
    begun again."""

    def __init__(self, api: Api, environment: str, git_server: GitServer) -> None:
        self.api = api
        self._services = [
            Service(api, environment, git_server.repository(), **QUICK) for _ in range(2)
        ]
        self._open = dict[Service, str]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep)

    def __enter__(self) -> Self:
        for service in self._services:
            service.repository.push(worst())
        self._thread.start()
        try:
            eventually("it is noisy", self._noisy)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _noisy(self) -> bool:
        return any("goes_on.py" in self.api.logs(each) for each in list(self._open.values()))

    def _keep(self) -> None:
        while not self._over.wait(0.3):
            for service in self._services:
                open_ = self._open.get(service)
                if open_ is None or self.api.deployment(open_)["status"] in ENDED:
                    self._open[service] = service.deploy()

    def __exit__(
        self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        for deployment in self._open.values():
            self.api.call("POST", f"/v1/deployments/{deployment}/cancel", {})
        for deployment in self._open.values():
            self.api.ended(deployment, 30)


def deployed(app: Service, version: str) -> float:
    """Seconds until a new version is live."""
    app.repository.behave(version, f"RUN echo {uuid.uuid4().hex}", on_term="drain")
    began = time.monotonic()
    app.live()
    return time.monotonic() - began


def test_another_organization_notices_nothing(
    api: Api, environment: str, stranger: Api, git_server: GitServer, http_address: str
):
    app = Service(api, environment, git_server.repository(), **QUICK)
    deployed(app, "one")
    quiet = min(deployed(app, version) for version in ("two", "three"))
    made = stranger.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
    with (
        Noise(stranger, made["environments"][0]["id"], git_server),
        load_from_outside(http_address, app.host, rate=100) as load,
    ):
        time.sleep(SECONDS)
        beside = min(deployed(app, version) for version in ("four", "five"))
    unharmed(load, rate=95)
    assert len(load.report["versions"]) >= 2, "a new version answered while it was noisy"
    assert beside <= 2 * quiet, f"{beside:.1f} s beside the noise, {quiet:.1f} s without"
    (organization,) = stranger.get("/v1/organizations")["items"]
    theirs = labels.build_network(INSTANCE, organization["id"])
    eventually(
        "nothing of it is left", lambda: "goes_on.py" not in docker("top", theirs, check=False), 10
    )
