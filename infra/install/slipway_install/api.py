"""The public API, as any client sees it: JSON over HTTP, problems as RFC 9457 says."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from slipway_install.errors import InstallError


class Problem(InstallError):
    """The API refused. `status` is HTTP's."""

    def __init__(self, status: int, what: str, hint: str) -> None:
        super().__init__(what, hint)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    cookie: str
    """What Set-Cookie named, as a Cookie header."""


@dataclass(frozen=True, slots=True)
class Api:
    """`headers` carry who asks: a Bearer token or a session's cookie."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()

    def signed(self, name: str, value: str) -> "Api":
        return Api(self.url, (*self.headers, (name, value)))

    def get(self, path: str) -> Any:
        return self.call("GET", path).body

    def post(self, path: str, body: dict[str, Any], key: str | None = None) -> Any:
        return self.call("POST", path, body, key).body

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self.call("PUT", path, body).body

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None
    ) -> Answer:
        """Raises Problem for an answer ≥ 400, InstallError when nothing answers. `key` is the
        Idempotency-Key."""
        headers = {"Accept": "application/json", **dict(self.headers)}
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                cookies = [
                    line.partition(";")[0] for line in answer.headers.get_all("Set-Cookie", [])
                ]
                return Answer(answer.status, _parsed(answer.read()), "; ".join(cookies))
        except urllib.error.HTTPError as error:
            raise _problem(method, path, error.code, _parsed(error.read())) from None
        except OSError as error:
            raise InstallError(
                f"{method} {self.url}{path} was not answered: {error}",
                "look at docker service ls and at the logs of api-gateway and proxy-sync",
            ) from None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


def _problem(method: str, path: str, status: int, body: Any) -> Problem:
    detail, hint = str(body)[:500], "look at the log of api-gateway"
    if isinstance(body, dict):
        detail = str(body.get("detail") or body.get("title") or body)
        if errors := body.get("errors"):
            detail += f" {json.dumps(errors)}"
        hint = str(body.get("hint") or hint)
    return Problem(status, f"{method} {path} answered {status}: {detail}", hint)


def answers(url: str, host: str | None = None) -> tuple[int, str]:
    """The status at `url` and the beginning of the body; 0 and why, where nothing answers."""
    headers = {"Host": host} if host else {}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return answer.status, answer.read(500).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(500).decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def wait_for(url: str, seconds: float, host: str | None = None) -> tuple[int, str]:
    """Ask `url` until it answers 200, at most `seconds`; the last answer. Nothing announces that
    a proxy has begun to answer, so it is asked four times a second."""
    end = time.monotonic() + seconds
    while True:
        status, body = answers(url, host)
        if status == 200 or time.monotonic() > end:
            return status, body
        time.sleep(0.25)
