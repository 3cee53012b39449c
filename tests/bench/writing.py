"""Making a project and a service beside a bare append of the same size."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from slipway.contracts.event import Event
from slipway.contracts.project import ProjectCreated
from slipway.contracts.service import ServiceCreated
from slipway.contracts.values import ApplicationSettings, ImageSource, Sealed
from slipway.eventstore.jetstream import JetStreamStore
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject

from tests.bench.figures import Report, percentile
from tests.bench.platform import Platform
from tests.bench.servers import event_store

TIMES, WARM = 100, 10


def id_() -> str:
    return str(uuid.uuid4())


def project() -> Event:
    return ProjectCreated(name="Project 17", environment=id_())


def service() -> Event:
    return ServiceCreated(
        project=id_(), environment=id_(), name="web-17",
        settings=ApplicationSettings(source=ImageSource(image="nginx:stable")),
        webhook_token=Sealed(key="gateway", text="QUJD" * 40), webhook_hash=id_() * 2,
    )  # fmt: skip


async def append(store: JetStreamStore, event: Event) -> float:
    meta = Meta(id_(), datetime.now(UTC), Actor("user", id_(), "192.0.2.7"), id_(), None, id_())
    subject = Subject(id_(), event.type.partition(".")[0], id_())
    began = time.perf_counter()
    await store.append(subject, NOTHING, [event], meta)
    return time.perf_counter() - began


def _timed(make: Callable[[], object]) -> float:
    began = time.perf_counter()
    make()
    return time.perf_counter() - began


async def measure(platform: Platform, report: Report) -> None:
    async with event_store(synced=True) as connection:
        with platform.organization() as api:
            made = api.post("/v1/projects", {"name": "Writing"})
            path = f"/v1/environments/{made['environments'][0]['id']}/services"

            def new_project() -> None:
                api.post("/v1/projects", {"name": f"Project {uuid.uuid4().hex[:8]}"})

            def new_service() -> None:
                source = {"kind": "image", "image": "nginx:stable"}
                api.post(
                    path,
                    {
                        "kind": "application",
                        "name": f"web-{uuid.uuid4().hex[:8]}",
                        "source": source,
                    },
                )

            for what, make, event in (
                ("project", new_project, project),
                ("service", new_service, service),
            ):
                ours, bare = [], []
                for number in range(WARM + TIMES):
                    one, other = _timed(make), await append(connection.store, event())
                    if number >= WARM:
                        ours.append(one)
                        bare.append(other)
                p50 = percentile(ours, 50)
                report.judge(
                    f"create {what}",
                    f"p50 {p50:.1f} ms, p95 {percentile(ours, 95):.1f} ms;"
                    f" bare append p50 {percentile(bare, 50):.1f} ms",
                    "<= 10 ms",
                    p50 <= 10,
                )
                report.keep(f"writing {what}", platform=ours, bare=bare)
