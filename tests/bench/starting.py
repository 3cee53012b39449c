"""How long the deployer and proxy-sync take to start where little, and where much, is stopped.

The log is a real one, on a NATS server of the bench's own, and each service is the process that the
platform runs, from its start to the line that says it is ready. The engine is not a real one: a
thousand Swarm services would measure Swarm. It is a socket that gives the answers of an engine
which has them, as many and as large, and counts the questions.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nats
from aiohttp import web
from nats.aio.client import Client
from slipway.contracts import labels, streams
from slipway.contracts.permissions import USERS, render
from slipway.contracts.rollout import RolloutQueued, RolloutState, RolloutStopped
from slipway.contracts.route import RouteState, RouteWithdrawn
from slipway.contracts.service import ServiceCreated, ServiceScaled, ServiceStopped
from slipway.contracts.values import ApplicationSettings, BuiltImage, ImageSource, Sealed
from slipway.contracts.workload import MAIN
from slipway.eventstore.init import make
from slipway.kernel.envelope import Subject
from slipway.kernel.ids import derived
from slipway.sealing import generate
from slipway.testing.releases import release

from tests.bench.figures import Report
from tests.bench.history import History, Message
from tests.bench.servers import LABEL
from tests.containers import remove, start_nats

INSTANCE = "bench"
FEW, MANY = 10, 1000
TIMES = 4
ORGANIZATION, PROJECT = derived("organization", 0), derived("project", 0)
ENVIRONMENT = derived("environment", 0)
SERVICES = {"deployer": "deployer", "proxy-sync": "proxy_sync"}


def swarm_service(number: int) -> str:
    """The name of the one that runs this service."""
    service, deployment = derived("service", number), derived("deployment", number)
    return labels.release(INSTANCE, service, MAIN, deployment)


def stopped(history: History, count: int) -> Iterator[Message]:
    """So many services that were created, scaled, deployed, and stopped."""
    created = ServiceCreated(
        project=PROJECT, environment=ENVIRONMENT, name="web",
        settings=ApplicationSettings(source=ImageSource(image="web:1")),
        webhook_token=Sealed(key="gateway", text="QUJD" * 40), webhook_hash="0" * 64,
    )  # fmt: skip
    for number in range(count):
        id_ = derived("service", number)
        about: Any = {"service": id_, "kind": "application"}
        service = Subject(ORGANIZATION, "service", id_)
        for event in (created, ServiceScaled(replicas=2), ServiceStopped()):
            yield history.commit(service, event)
        serving = release(
            derived("deployment", number), digest="x" * 32, swarm_service=swarm_service(number),
            image=BuiltImage(reference=f"sha256:{number:064x}"),
        )  # fmt: skip
        state = RolloutState(
            environment=ENVIRONMENT, serving=serving, highest=1, replicas={MAIN: 2}
        )
        rollout = Subject(ORGANIZATION, "rollout", id_)
        for _ in range(6):
            yield history.commit(rollout, RolloutQueued(**about, state=state))
        ended = state.model_copy(update={"stopped": True})
        yield history.commit(rollout, RolloutStopped(**about, state=ended))
        gone = RouteWithdrawn(**about, state=RouteState(environment=ENVIRONMENT))
        yield history.commit(Subject(ORGANIZATION, "route", id_), gone)


class Engine:
    """What is asked for at a start: the version, the Swarm services, the tasks that run (none),
    networks, and Traefik's container, which runs."""

    def __init__(self, count: int) -> None:
        self.asked: Counter[str] = Counter()
        self._services = [self._swarm_service(number) for number in range(count)]

    @staticmethod
    def _swarm_service(number: int) -> dict[str, Any]:
        marks = {
            labels.INSTANCE: INSTANCE,
            labels.ORGANIZATION: ORGANIZATION,
            labels.ENVIRONMENT: ENVIRONMENT,
            labels.SERVICE: derived("service", number),
            labels.WORKLOAD: MAIN,
            labels.RELEASE: swarm_service(number),
        }
        env = [f"VARIABLE_{n}=postgres://user@database.example/shop" for n in range(12)]
        container = {"Image": f"sha256:{number:064x}", "Labels": marks, "Env": env}
        return {
            "ID": f"swarm-service-{number}",
            "Version": {"Index": number},
            "CreatedAt": "2026-01-01T00:00:00Z",
            "UpdatedAt": "2026-01-01T00:00:00Z",
            "Spec": {
                "Name": swarm_service(number),
                "Labels": marks,
                "Mode": {"Replicated": {"Replicas": 0}},
                "TaskTemplate": {"ContainerSpec": container},
            },
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/").removeprefix("v1.48/")
        self.asked[f"{request.method} {path.partition('/')[0]}"] += 1
        match path.split("/"):
            case ["services"]:
                return web.json_response(self._services)
            case ["tasks"]:
                return web.json_response([])
            case ["events"]:
                stream = web.StreamResponse()
                await stream.prepare(request)
                await asyncio.sleep(3600)
                return stream
            case ["networks", _]:
                config = [{"Subnet": "127.0.0.0/24", "Gateway": "127.0.0.1"}]
                return web.json_response({"Id": "n", "IPAM": {"Config": config}})
            case ["containers", _, "json"]:
                networks = {"Networks": {labels.control_network(INSTANCE): {}}}
                marks = {"Labels": {}}
                return web.json_response(
                    {"Config": marks, "State": {"Running": True}, "NetworkSettings": networks}
                )
            case _:
                return web.json_response({"ApiVersion": "1.48"})


class Servers:
    """What the two services meet: the log, the engine, and Traefik's API."""

    def __init__(self, folder: Path, url: str, passwords: dict[str, str], engine: Engine) -> None:
        self.folder, self._url, self._passwords = folder, url, passwords
        self.engine = engine

    async def start(self, service: str) -> float:
        """Seconds from the start of the process until it says that it is ready; ended again."""
        (self.folder / "lifeline").touch()
        settings = {
            "SLIPWAY_INSTANCE": INSTANCE,
            "SLIPWAY_NATS_URL": self._url,
            "SLIPWAY_NATS_PASSWORD": self._passwords[service],
            "SLIPWAY_MASTER_PRIVATE": generate().private,
            "SLIPWAY_LIFELINE": str(self.folder / "lifeline"),
            "SLIPWAY_LIFELINE_VOLUME": str(self.folder / "volume"),
            "SLIPWAY_CONFIGURATION": str(self.folder / "traefik"),
            "DOCKER_HOST": f"unix://{self.folder}/engine.sock",
        }
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", SERVICES[service], env={**os.environ, **settings},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = []
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                async for line in process.stdout:
                    said.append(line.decode())
                    if line.startswith(b"{") and json.loads(line).get("event") == "ready":
                        return time.perf_counter() - began
            raise RuntimeError("".join(said[-20:]))
        finally:
            process.terminate()
            await process.communicate()


@asynccontextmanager
async def served(count: int) -> AsyncIterator[Servers]:
    """A log with so many stopped services, whose durables have heard everything."""
    passwords = {user: secrets.token_hex(16) for user in USERS}
    conf = render(passwords).replace("sync_interval: always", "")  # to fill it is not measured
    with TemporaryDirectory(prefix="slipway-bench-") as name:
        container, url = start_nats(LABEL, Path(name), conf)
        engine = Engine(count)
        try:
            client = await nats.connect(url, user="admin", password=passwords["admin"])
            await _fill(client, count)
            await client.close()
            async with _http(engine.answer, f"{name}/engine.sock"):
                yield Servers(Path(name), url, passwords, engine)
        finally:
            remove(container)


async def _fill(client: Client, count: int) -> None:
    js = client.jetstream(timeout=30)
    await make(js)
    for number, message in enumerate(stopped(History(), count), 1):
        await client.publish(message.subject, message.data)
        if number % 500 == 0:
            await client.flush(30)
    await client.flush(30)
    for service in SERVICES:
        heard = await js.pull_subscribe_bind(service, streams.EVENTS)
        while (await heard.consumer_info()).num_pending:
            for delivery in await heard.fetch(500, timeout=30):
                await delivery.ack()
            await client.flush(30)


@asynccontextmanager
async def _http(handler: Any, socket: str | None = None) -> AsyncIterator[None]:
    """At that socket, else where proxy-sync looks for Traefik: the third address from the top of
    the control network, which is a loopback one here."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.UnixSite(runner, socket) if socket else web.TCPSite(runner, "127.0.0.253", 8080)
    await site.start()
    try:
        yield
    finally:
        await runner.cleanup()


def _traefik() -> AbstractAsyncContextManager[None]:
    """Its API, which has loaded everything."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response([])

    return _http(answer)


async def measured() -> dict[str, dict[int, tuple[float, int]]]:
    """service → how many are stopped → (seconds, questions to the engine) of its start: the
    quickest of several, few and many in turn, as most of it is the reading of Python's modules."""
    found: dict[str, dict[int, tuple[float, int]]] = {name: {} for name in SERVICES}
    async with _traefik(), served(FEW) as few, served(MANY) as many:
        for name in SERVICES:
            for count, servers in [(FEW, few), (MANY, many)] * TIMES:
                servers.engine.asked.clear()
                took = await servers.start(name), servers.engine.asked.total()
                found[name][count] = min(took, found[name].get(count, took))
    return found


def measure(report: Report) -> None:
    for name, starts in asyncio.run(measured()).items():
        (few, asked_few), (many, asked_many) = starts[FEW], starts[MANY]
        report.judge(
            f"start of {name} with {MANY} stopped services",
            f"{many:.2f} s, {asked_many} questions to the engine"
            f" (with {FEW}: {few:.2f} s, {asked_few})",
            "within 2 x of 10",
            many <= 2 * few,
        )
        report.keep(
            f"starting {name}",
            few=few, many=many, engine_questions_few=asked_few, engine_questions_many=asked_many,
        )  # fmt: skip
