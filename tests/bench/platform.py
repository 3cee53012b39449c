"""The instance under measurement, as a client of its API sees it."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.containers import ROOT

INSTANCE = os.environ.get("SLIPWAY_INSTANCE", "slipway-test")


def settings() -> dict[str, str]:
    """What `make up` wrote for this instance."""
    file = ROOT / ".slipway" / ("env" if INSTANCE == "slipway" else f"{INSTANCE}.env")
    pairs = (line.partition("=") for line in file.read_text().splitlines() if "=" in line)
    return {name: value.strip("'\"") for name, _, value in pairs}


class Api:
    def __init__(self, url: str, token: str) -> None:
        self.http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def ask(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """Raises RuntimeError for a refusal."""
        answer = self.http.request(method, path, json=body)
        if not answer.is_success:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def post(self, path: str, body: Any = None) -> Any:
        return self.ask("POST", path, body).json()

    def get(self, path: str) -> Any:
        return self.ask("GET", path).json()


class Platform:
    def __init__(self) -> None:
        self.given = settings()
        self.url = self.given["SLIPWAY_URL"]
        self.api = Api(self.url, self.given["SLIPWAY_TOKEN"])
        port = self.given["SAMPLE_URL"].rstrip("/").rpartition(":")[2]
        self.public = httpx2.Client(
            base_url=f"http://127.0.0.1:{port if port.isdigit() else 80}", timeout=10
        )

    @contextmanager
    def organization(self) -> Iterator[Api]:
        """One of its own; its projects are deleted in the end."""
        person = {
            "email": self.given["SLIPWAY_EMAIL"],
            "password": self.given["SLIPWAY_PASSWORD"],
        }
        with httpx2.Client(base_url=self.url, timeout=60) as http:
            http.post("/v1/sessions", json=person).raise_for_status()
            name = f"bench {uuid.uuid4().hex[:8]}"
            made = http.post("/v1/organizations", json={"name": name})
            made.raise_for_status()
            there = {"Slipway-Organization": made.json()["id"]}
            wanted = {"name": "bench", "role": "owner"}
            token = http.post("/v1/tokens", json=wanted, headers=there)
            token.raise_for_status()
            http.delete("/v1/sessions/current")
        api = Api(self.url, token.json()["token"])
        try:
            yield api
        finally:
            self._empty(api)

    @staticmethod
    def _empty(api: Api) -> None:
        projects = api.get("/v1/projects?limit=200")["items"]
        for project in projects:
            if project["status"] == "active":
                api.ask("DELETE", f"/v1/projects/{project['id']}")
        until(lambda: not api.get("/v1/projects?limit=200")["items"], 180)
        api.http.close()


def until(what: Callable[[], object], seconds: float, every: float = 0.2) -> None:
    """Raises TimeoutError when it does not come to be so."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {seconds} s")
        time.sleep(every)
