"""Domains as they are shown, with the services that they lead to."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from slipway.contracts.route import PORT_UNKNOWN, exposed
from slipway.readmodel.model import Document, Documents

from api_gateway.documents import everything
from api_gateway.http.schema import Shown


class Domain(Shown):
    """`problem`: why it leads nowhere, as far as that is known, and what to do."""

    id: str
    host: str
    path: str
    port: int | None
    https: bool
    service: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """What a service's domains lead to: its own port as it is configured now, and the states of its
    rollout and its route, each empty where there is none."""

    port: int | Literal["none"] | None = None
    rollout: Mapping[str, Any] = field(default_factory=dict[str, Any])
    route: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, service: Document, rollout: Document | None, route: Document | None) -> "Target":
        settings = service["state"]["settings"] or {}
        return cls(
            settings.get("runtime", {}).get("port"),
            rollout["state"] if rollout else {},
            route["state"] if route else {},
        )


def problem(port: int | None, target: Target) -> str | None:
    """Of a domain with this port: None where it leads somewhere, or nothing is known yet."""
    if target.port == "none":
        return 'the service listens on nothing (its port is "none"): set its port and deploy it'
    if port is not None:
        return None
    release = target.rollout.get("wanted") or target.rollout.get("serving")
    if release is None:
        failure = (target.route.get("refused") or {}).get("failure") or {}
        unknown = failure.get("reason") == PORT_UNKNOWN and target.port is None
        return f"{failure['detail']}; {failure['hint']}" if unknown else None
    if release.get("port") is not None:
        return None
    if target.port is not None:
        return f"what runs was deployed without a port: deploy it, so that it has {target.port}"
    said = exposed(release["image"].get("ports", ()))
    return f"the image {said}: set port on the domain, or on the service and deploy it"


def domain_of(host: str, route: Mapping[str, Any], target: Target) -> dict[str, Any]:
    return {
        "id": route["domain"],
        "host": host,
        "path": route["path"],
        "port": route["port"],
        "https": False,
        "service": route["service"],
        "problem": problem(route["port"], target),
    }


async def hosts_of(documents: Documents, services: list[str]) -> list[Document]:
    """Those that lead to them, by name."""
    hosts = await everything(documents, "host", {"state.routes.service": services})
    return sorted(hosts, key=lambda item: item["state"]["host"])


def domains_of(
    hosts: list[Document], targets: Mapping[str, Target]
) -> defaultdict[str, list[dict[str, Any]]]:
    """Service → its domains, ordered by host and path."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for host in hosts:
        for route in sorted(host["state"]["routes"], key=lambda item: item["path"]):
            if (target := targets.get(route["service"])) is not None:
                name = host["state"]["host"]
                found[route["service"]].append(domain_of(name, route, target))
    return found
