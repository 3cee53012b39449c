"""What the platform judges of a program, and what it says of what it ended: programs of a few lines
in the interpreter's own image, each with its own health check."""

import time
import uuid
from typing import Any

import pytest

from tests.containers import into_library
from tests.e2e.api import Api
from tests.e2e.engine import docker
from tests.e2e.instance import INSTANCE, MARK
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

PYTHON = {"kind": "image", "image": "python:3.13-slim"}
SERVER = """
import asyncio, os, socket, sys
own = socket.gethostbyname(socket.gethostname())
async def answer(reader, writer):
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode()
    if {raw}:
        writer.write(b"+PONG\\r\\n")
    elif {host} and "\\r\\nhost: " + {host} + "\\r\\n" not in head.lower():
        writer.write(b"HTTP/1.1 400 Bad Request\\r\\nContent-Length: 0\\r\\n\\r\\n")
    elif {stream}:
        writer.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
        await writer.drain()
        await asyncio.sleep(600)
    else:
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    writer.close()
async def main():
    await asyncio.sleep({after})
    await asyncio.start_server(answer, {address}, {port})
    await asyncio.sleep(600)
asyncio.run(main())
"""


def server(**how: Any) -> list[str]:
    """Listens on `port` of `address` after so many seconds."""
    wanted = {
        "raw": False, "host": "''", "stream": False, "after": 0, "address": "'0.0.0.0'",
        "port": 8000, **how,
    }  # fmt: skip
    text = SERVER
    for name, value in wanted.items():
        text = text.replace(f"{{{name}}}", str(value))
    return ["python3", "-c", text]


SLEEPS = ["python3", "-c", "import time; time.sleep(600)"]
HURRIED = {"start_period": 3, "interval": 1, "retries": 2}


def service(api: Api, environment: str, **body: Any) -> Service:
    return Service(api, environment, source=PYTHON, **{**QUICK, **body})


def unrouted(api: Api, environment: str, **body: Any) -> str:
    """The id of a service without a domain."""
    name = f"plain-{uuid.uuid4().hex[:6]}"
    made = {"kind": "application", "name": name, "source": PYTHON, **QUICK, **body}
    return api.post(f"/v1/environments/{environment}/services", made)["id"]


# what is configured → reason, what the detail and the hint say
ENDED: dict[str, tuple[dict[str, Any], str, tuple[str, ...], str]] = {
    "another port": (
        {"port": 3000, "command": server(port=80), "health_check": HURRIED},
        "not-listening",
        ("s after its start", "nothing listens on port 3000 (tried 127.0.0.1,", "listens on 80"),
        "set port",
    ),
    "it starts too slowly": (
        {"port": 8000, "command": server(after=30), "health_check": HURRIED},
        "not-listening",
        ("nothing listens on port 8000", "listens on no port"),
        "health_check.start_period",
    ),
    "a command that fails": (
        {"port": 8000, "command": server(), "health_check": {**HURRIED, "command": ["false"]}},
        "unhealthy",
        ("the health check failed for", "`false` ended with 1 and said nothing"),
        "health_check",
    ),
    "a host that it does not know": (
        {
            "port": 8000,
            "command": server(host="'a.example'"),
            "health_check": {**HURRIED, "path": "/up"},
        },
        "unhealthy",
        (":8000/up (Host: ", ".localhost) answered 400 Bad Request"),
        "health_check.host",
    ),
}


def test_what_the_platform_ended_itself_is_told_as_that(api: Api, environment: str):
    asked = {name: service(api, environment, **body) for name, (body, *_) in ENDED.items()}
    deployments = {name: made.deploy() for name, made in asked.items()}
    for name, (_, reason, words, hint) in ENDED.items():
        seen = api.ended(deployments[name], 60)
        assert seen["status"] == "failed", name
        error = seen["error"]
        assert error["reason"] == reason, (name, error)
        assert [word for word in words if word not in error["detail"]] == [], (name, error)
        assert hint in error["hint"], (name, error)


@pytest.fixture
def image_with_a_check(tmp_path: Any) -> Any:
    """Builds images with a HEALTHCHECK of their own."""
    made: list[str] = []

    def build(check: str) -> dict[str, str]:
        name = f"slipway-e2e-health-{time.monotonic_ns()}"
        (tmp_path / "Dockerfile").write_text(
            f"FROM python:3.13-slim\nEXPOSE 8000\nHEALTHCHECK {check}\n"
        )
        docker("build", "--quiet", "--label", MARK, "--tag", name, str(tmp_path))
        into_library(name, INSTANCE)
        made.append(name)
        return {"kind": "image", "image": name}

    yield build
    for name in made:
        docker("image", "rm", "--force", name, check=False)


def test_the_check_of_an_image_is_asked_often_while_it_starts(
    api: Api, environment: str, image_with_a_check: Any
):
    source = image_with_a_check("--interval=30s CMD python3 -c 'import sys; sys.exit(0)'")
    app = Service(api, environment, source=source, command=server(), **QUICK)
    began = time.monotonic()
    app.live()
    assert time.monotonic() - began < 12
    lacking = image_with_a_check("--interval=2s --retries=2 CMD curl -f http://localhost:8000/")
    app.patch(source=lacking)
    error = app.failed(60)["error"]
    assert error["reason"] == "unhealthy", error
    assert "`curl -f http://localhost:8000/` ended with" in error["detail"], error
    assert "curl" in error["detail"].partition("said: ")[2], error


def test_what_is_well_configured_lives(api: Api, environment: str):
    """Each of them failed, or waited for long, when a judgement of the platform's own decided."""
    host = f"shop{uuid.uuid4().hex[:6]}.localhost"
    own = {"path": "/up", "start_period": 3, "interval": 1}
    patient = {"path": "/up", "start_period": 120, "interval": 1, "retries": 1}
    routed = {
        "its own address alone": {"port": 8000, "command": server(address="own")},
        "the host of its domain alone": {
            "port": 8000, "command": server(host=f"'{host}'"), "health_check": own, "host": host,
        },
        "a stream without end": {"port": 8000, "command": server(stream=True)},
        "it needs longer than a few bad answers": {
            "port": 8000, "command": server(after=45), "health_check": patient,
        },
    }  # fmt: skip
    unnamed = {
        "a worker": {"port": "none", "command": SLEEPS},
        "what speaks something else": {"port": 6379, "command": server(raw=True, port=6379)},
    }
    deployments = {
        name: service(api, environment, **body).deploy() for name, body in routed.items()
    }
    for name, body in unnamed.items():
        deployments[name] = api.deploy(unrouted(api, environment, **body))
    ends = {name: api.ended(id_, 100) for name, id_ in deployments.items()}
    assert {name: (end["status"], end["error"]) for name, end in ends.items()} == {
        name: ("live", None) for name in deployments
    }
