"""A version that does not come to serve leaves the former one serving, says why, and is removed."""

import json
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import half_made, settled
from tests.e2e.loads import load_from_outside, unharmed
from tests.e2e.repositories import GitServer
from tests.e2e.services import Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

BROKEN_STEP = "RUN echo 'compiling the parts' && exit 9"  # line 2 of the Dockerfile

# steps, behaviour → reason, words of the detail, a word of the last lines
FAILURES: dict[str, tuple[tuple[str, ...], dict[str, Any], str, tuple[str, ...], str]] = {
    "dockerfile-step": (
        (BROKEN_STEP,), {}, "build-step-failed", ("line 2", "exit code 9"), "compiling the parts",
    ),
    "dockerfile-word": (
        ("RUM echo hello",), {}, "dockerfile-invalid", ("line 2", "RUM"), "",
    ),
    "ends-at-its-start": (
        (), {"exit_code": 3}, "exited", ("exit code 3", "start"), "cannot find the configuration",
    ),
    "dies-after-it-was-healthy": (
        (), {"die_after": 3}, "exited", ("exit code 7", "healthy"), "lost the database",
    ),
    "floods-its-log-and-ends": (
        (), {"exit_code": 3, "flood": 20}, "exited", ("exit code 3",), "cannot find",
    ),
    "health-path-answers-500": (
        (), {"health_status": 500}, "unhealthy", ("/health", "500"), "listening on 8000",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def app(api: Api, environment: str, git_server: GitServer) -> Service:
    check = {"path": "/health", "interval": 1, "start_period": 5}
    made = Service(api, environment, git_server.repository(), health_check=check)
    made.repository.behave("good", on_term="drain")
    made.live()
    settled(made.id)
    return made


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
def test_the_former_version_serves_on_and_the_reason_is_told(
    app: Service, http_address: str, version_of: Any, case: Any
):
    steps, behaviour, reason, words, line = case
    app.repository.behave("bad", *steps, on_term="drain", **behaviour)
    before = app.shown()["live_deployment"]
    with load_from_outside(http_address, app.host) as load:
        failed = app.failed(seconds=60)
        settled(app.id)
    unharmed(load)
    assert load.report["versions"].keys() == {"good"}, load.report["versions"]
    error = failed["error"]
    assert error["reason"] == reason, error
    assert [word for word in words if word not in error["detail"]] == [], error
    assert line in "\n".join(error["lines"]), error
    assert len(json.dumps(error)) < 100_000
    assert version_of(app.host) == "good"
    assert app.shown()["live_deployment"] == before
    left = half_made(app.id, failed["id"])
    assert left.keys() <= {"images"}, f"left of the failed deployment: {left}"
