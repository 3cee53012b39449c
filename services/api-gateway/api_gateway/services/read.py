"""Services as they are shown: what is wanted, and what was observed of it."""

import asyncio
from typing import Any, Literal

from slipway.contracts.desired import wanted_replicas
from slipway.contracts.values import (
    Build,
    HealthCheck,
    PublishedPort,
    Runtime,
    Sealed,
    Source,
    Strategy,
    TmpfsMount,
    VolumeMount,
)
from slipway.kernel.clock import iso
from slipway.readmodel.model import Document

from api_gateway.domains.read import Domain, Target, domains_of, hosts_of
from api_gateway.gateway import Gateway
from api_gateway.http.schema import Shown
from api_gateway.projects.tree import Runs, service_status
from api_gateway.services.render import Status, waits_for, workloads


class Observed(Shown):
    """What is known of the world: by whom, and when it was seen last."""

    source: str
    at: str | None
    replicas: int | None
    """Of all its workloads together, those that run; null where nobody knows."""
    addresses: int


class Replicas(Shown):
    wanted: int
    running: int | None
    """Of which it is so now; null where nobody knows."""
    healthy: int | None


class RunningWorkload(Shown):
    name: str
    image: str
    replicas: Replicas
    status: Status
    observed_at: str | None
    """When its tasks were looked at last."""


class FileMount(Shown):
    """The content of a secret one is never shown."""

    kind: Literal["file"]
    path: str
    content: str | None
    mode: str
    secret: bool


class Webhook(Shown):
    url: str | None
    has_secret: bool


class Service(Shown):
    id: str
    kind: str
    name: str
    project: str
    environment: str
    source: Source | None
    build: Build | None
    port: int | Literal["none"] | None
    command: list[str] | None
    health_check: HealthCheck | None
    cpu_limit: float | None
    memory_limit: int | None
    settle_seconds: float
    drain_seconds: float
    mounts: list[VolumeMount | FileMount | TmpfsMount]
    ports: list[PublishedPort]
    strategy: Strategy | None
    init: list[list[str]]
    user: str | None
    stop_signal: str | None
    stop_grace_seconds: float | None
    labels: dict[str, str]
    cpu_reservation: float | None
    memory_reservation: int | None
    rollout_seconds: float | None
    replicas: int
    """Of all its workloads together."""
    workloads: list[RunningWorkload]
    status: str
    waits_for: str | None
    """What keeps its deletion or its deployment, as far as that is known."""
    live_deployment: str | None
    latest_deployment: str | None
    observed: Observed
    webhook: Webhook
    domains: list[Domain]
    created_at: str
    updated_at: str


def webhook_url(gateway: Gateway, document: Document) -> str:
    sealed = Sealed.from_stored(document["state"]["webhook_token"])
    token = gateway.own_key.open(sealed, f"service/{document['_id']}/webhook")
    return f"{gateway.settings.public_url}/v1/webhooks/git/{token}"


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    """What the owner said, in the form in which it is said: without the inner structure."""
    runtime = settings.get("runtime") or Runtime().model_dump()
    return {
        "kind": settings["kind"],
        "source": settings.get("source"),
        "build": settings.get("build"),
        **runtime,
        "mounts": [_mount(mount) for mount in runtime["mounts"]],
    }


def _mount(mount: dict[str, Any]) -> dict[str, Any]:
    if mount["kind"] != "file":
        return mount
    shown = {name: mount[name] for name in ("kind", "path", "content", "mode")}
    return {**shown, "secret": mount["sealed"] is not None}


def service(
    gateway: Gateway,
    document: Document,
    *,
    hook: bool,
    rollout: Document | None = None,
    route: Document | None = None,
    newest: Document | None = None,
    domains: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """`hook`: with the webhook's address, which is a secret: not for viewers."""
    state = document["state"]
    deployed = rollout["state"] if rollout else {}
    serving = deployed.get("serving")
    seen = gateway.observed.of(document["_id"], gateway.clock.now())
    shown = workloads(state, deployed, *seen)
    return {
        "id": document["_id"],
        "name": state["name"],
        "project": state["project"],
        "environment": state["environment"],
        **_settings(state["settings"]),
        "replicas": sum(wanted_replicas(state["settings"], state["replicas"]).values()),
        "workloads": shown,
        "status": service_status(state, Runs.of(deployed)),
        "waits_for": waits_for(state, deployed),
        "live_deployment": serving["deployment"] if serving else None,
        "latest_deployment": newest["deployment"] if newest else None,
        "observed": {
            "source": "deployer",
            "at": iso(seen.at) if seen.at else None,
            "replicas": _running(shown) if seen.counts is not None else None,
            "addresses": len(route["state"].get("addresses", ())) if route else 0,
        },
        "webhook": {
            "url": webhook_url(gateway, document) if hook else None,
            "has_secret": state["webhook_secret"] is not None,
        },
        "domains": domains or [],
        "created_at": document["created_at"],
        "updated_at": document["updated_at"],
    }


def _running(workloads: list[dict[str, Any]]) -> int:
    return sum(each["replicas"]["running"] for each in workloads)


async def services(
    gateway: Gateway, documents: list[Document], *, hook: bool
) -> list[dict[str, Any]]:
    ids = [document["_id"] for document in documents]
    rollouts, routes, newest, hosts = await asyncio.gather(
        gateway.documents.get_many("rollout", ids),
        gateway.documents.get_many("route", ids),
        gateway.documents.get_many("newest", ids),
        hosts_of(gateway.documents, ids),
    )
    targets = {
        document["_id"]: Target.of(
            document, rollouts.get(document["_id"]), routes.get(document["_id"])
        )
        for document in documents
    }
    domains = domains_of(hosts, targets)
    return [
        service(
            gateway, document, hook=hook,
            rollout=rollouts.get(id_), route=routes.get(id_),
            newest=newest.get(id_), domains=domains[id_],
        )
        for id_, document in zip(ids, documents, strict=True)
    ]  # fmt: skip
