"""The public API as a client of it sees it: nothing here knows the inside."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2

ENDED = {"live", "replaced", "failed", "cancelled", "superseded", "expired"}
ENDS = {
    f"deployment.{end}" for end in ("succeeded", "failed", "cancelled", "superseded", "expired")
}
"""Types of the events that end a deployment; it has exactly one of them."""


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

    def ready(self, seconds: float = 90) -> None:
        """Until the API answers and its views are at the log's end."""
        deadline = time.monotonic() + seconds
        while self._patiently("/readyz") is None:
            assert time.monotonic() < deadline, f"{self.url} is not ready after {seconds} s"
            time.sleep(0.2)

    def _patiently(self, path: str) -> Any:
        """None while the gateway is away."""
        try:
            answer = self.call("GET", path)
        except httpx2.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    # -- deployments --------------------------------------------------------------------------

    def deploy(self, service: str, **body: Any) -> str:
        return self.post(f"/v1/services/{service}/deployments", body)["id"]

    def deployment(self, id_: str) -> dict[str, Any]:
        return self.get(f"/v1/deployments/{id_}")

    def until(
        self, id_: str, *statuses: str, seconds: float = 120, patient: bool = False
    ) -> dict[str, Any]:
        """The deployment once it has one of the statuses; fails when it ended otherwise.
        `patient`: the gateway may be away meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            seen = self._patiently(f"/v1/deployments/{id_}") if patient else self.deployment(id_)
            status = seen["status"] if seen else "unknown: nothing answers"
            if seen and status in statuses:
                return seen
            if seen and status in ENDED:
                raise AssertionError(f"{status}: {seen.get('error')}\n{self.logs(id_)}")
            assert time.monotonic() < deadline, f"still {status}: {json.dumps(seen)[:2000]}"
            time.sleep(0.1)

    def ended(self, id_: str, seconds: float = 120) -> dict[str, Any]:
        return self.until(id_, *ENDED, seconds=seconds)

    def live(self, service: str, **body: Any) -> dict[str, Any]:
        return self.until(self.deploy(service, **body), "live")

    def rollback(self, id_: str) -> str:
        return self.post(f"/v1/deployments/{id_}/rollback")["id"]

    def lines(self, path: str) -> list[dict[str, Any]]:
        """The log lines there are by now."""
        headers = {"Accept": "application/x-ndjson"}
        answer = self.http.get(f"{path}/logs?follow=false", headers=headers)
        assert answer.status_code == 200, f"{path}/logs: {answer.status_code} {answer.text}"
        return [json.loads(line) for line in answer.text.splitlines() if line.strip()]

    def logs(self, id_: str) -> str:
        return "\n".join(line["text"] for line in self.lines(f"/v1/deployments/{id_}"))

    def gone(self, path: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while (answer := self.call("GET", path)).status_code != 404:
            assert time.monotonic() < deadline, f"{path} is still there: {answer.text}"
            time.sleep(0.2)

    # -- streams ------------------------------------------------------------------------------

    def stream(self, path: str, last: str = "") -> Iterator[tuple[str, str, str]]:
        """(id, event, data) of server-sent events, behind the id `last`."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        with self.http.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200, f"GET {path}: {answer.status_code}"
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(":")
                if line and name:
                    fields[name] = value.removeprefix(" ")
                elif not line:
                    if "data" in fields:
                        yield fields.get("id", ""), fields.get("event", ""), fields["data"]
                    fields = {}

    def history(self, deployment: str) -> list[dict[str, Any]]:
        """All events so far that are about the deployment. A rename of its project, which is of
        no other consequence, marks the end of what is read."""
        shown = self.deployment(deployment)
        self.patch(f"/v1/projects/{shown['project']}", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
        end, found = int(self.sequence), []
        for id_, _, data in self.stream(f"/v1/events?after={shown['sequence'] - 1}"):
            if int(id_.partition(".")[0]) >= end:
                break
            event = json.loads(data)
            if deployment in (event["subject"], event["data"].get("deployment")):
                found.append(event)
        return found

    def types(self, deployment: str) -> list[str]:
        return [event["type"] for event in self.history(deployment)]
