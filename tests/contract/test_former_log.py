"""A log from before the first release is refused, and what to do is said wherever one looks."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from api_gateway.http.refusing import refusing
from slipway.eventstore.former import FormerFormat
from slipway.eventstore.init import main, make
from slipway.eventstore.jetstream import connect
from starlette.testclient import TestClient

from tests.contract.conftest import NatsServer, nats_of_its_own


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_of_its_own(tmp_path_factory.mktemp("former")) as server:
        yield server


async def _written(server: NatsServer) -> None:
    client = await nats.connect(server.url, user="admin", password=server.passwords["admin"])
    js = client.jetstream()
    for subject in ("evt.o1.project.p1", "evt.o1.application.a1", "evt.o1.project.p2"):
        await js.publish(subject, b"{}")
    await client.close()


@pytest.mark.engine
async def test_it_is_refused_by_init_and_by_every_service(former: NatsServer):
    gateway = await connect(former.url, "api-gateway", former.passwords["api-gateway"])
    await gateway.close()  # nothing is wrong with an empty one
    await _written(former)
    for user in ("api-gateway", "builder", "deployer", "proxy-sync", "metrics"):
        with pytest.raises(FormerFormat):
            await connect(former.url, user, former.passwords[user])
    admin = await nats.connect(former.url, user="admin", password=former.passwords["admin"])
    with pytest.raises(FormerFormat):
        await make(admin.jetstream())
    await admin.close()
    with pytest.raises(SystemExit, match="make purge"):
        await main(former.url, former.passwords["admin"])


@pytest.mark.parametrize("main", ["refused()", "until(stopping, refused())"])
def test_a_service_says_it_once_and_waits_to_be_stopped(tmp_path: Path, main: str):
    program = tmp_path / "refused.py"
    program.write_text(
        "import asyncio\n"
        "from slipway.eventstore.former import FormerFormat\n"
        "from slipway.runtime.process import serve, until\n"
        "async def refused():\n"
        "    raise FormerFormat\n"
        "async def main(stopping):\n"
        f"    await {main}\n"
        "serve('x', main)\n"
    )
    running = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    said = ""
    while "make purge" not in said:
        said = running.stdout.readline()
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 0


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_page_names_what_to_do(method: str):
    error = FormerFormat()
    client = TestClient(refusing("former-log", str(error), error.hint))
    answer = client.request(method, "/v1/projects")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/former-log")
    assert "make purge" in answer.json()["hint"]
    assert client.get("/healthz").status_code == 200, "or the swarm takes the page away"
    page = client.request(method, "/", headers={"Accept": "text/html"})
    assert (page.status_code, "make purge" in page.text) == (503, True)
