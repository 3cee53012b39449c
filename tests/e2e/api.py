"""The public API as a client of it sees it: nothing here knows the inside."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2

ENDED = {"live", "replaced", "failed", "cancelled", "superseded", "expired"}


class Api:
    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30.0
        )
        self.sequence = "0"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Any answer, also a refusal. Reads wait for what this client wrote."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.request(
            method, path, json=body, headers={"Slipway-Sequence": self.sequence, **sent}
        )
        written = answer.headers.get("Slipway-Sequence", "0")
        if int(written) > int(self.sequence):
            self.sequence = written
        return answer

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.call(method, path, body, **headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        return self.ok("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.ok("POST", path, body, **headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.ok("PATCH", path, body)

    def items(self, path: str) -> Iterator[dict[str, Any]]:
        cursor = ""
        while True:
            page = self.get(f"{path}{'&' if '?' in path else '?'}limit=100{cursor}")
            yield from page["items"]
            if not page["next"]:
                return
            cursor = f"&cursor={page['next']}"

    def deploy(self, application: str, **body: Any) -> str:
        return self.post(f"/v1/applications/{application}/deployments", body)["id"]

    def deployment(self, id_: str) -> dict[str, Any]:
        return self.get(f"/v1/deployments/{id_}")

    def until(self, id_: str, *statuses: str, seconds: float = 120) -> dict[str, Any]:
        """The deployment once it has one of the statuses; fails when it ended otherwise."""
        deadline = time.monotonic() + seconds
        while True:
            seen = self.deployment(id_)
            if seen["status"] in statuses:
                return seen
            logs = self.logs(id_) if seen["status"] in ENDED else ""
            assert seen["status"] not in ENDED, f"{seen['status']}: {seen.get('error')}\n{logs}"
            assert time.monotonic() < deadline, f"still {seen['status']}: {json.dumps(seen)[:2000]}"
            time.sleep(0.1)

    def ended(self, id_: str, seconds: float = 120) -> dict[str, Any]:
        return self.until(id_, *ENDED, seconds=seconds)

    def live(self, application: str, **body: Any) -> dict[str, Any]:
        return self.until(self.deploy(application, **body), "live")

    def logs(self, id_: str) -> str:
        answer = self.http.get(
            f"/v1/deployments/{id_}/logs?follow=false", headers={"Accept": "application/x-ndjson"}
        )
        lines = (json.loads(line) for line in answer.text.splitlines() if line.strip())
        return "\n".join(line.get("text", "") for line in lines)

    def gone(self, path: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while self.call("GET", path).status_code != 404:
            assert time.monotonic() < deadline, f"{path} is still there: {self.get(path)}"
            time.sleep(0.2)
