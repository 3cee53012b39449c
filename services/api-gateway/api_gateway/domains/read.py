"""Domains as they are shown, with the services that they lead to."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from slipway.contracts.rollout import Release
from slipway.contracts.route import PORT_UNKNOWN, exposed
from slipway.contracts.workload import MAIN
from slipway.readmodel.model import Document, Documents

from api_gateway.documents import everything
from api_gateway.http.schema import Shown


class Domain(Shown):
    """`problem`: why it leads nowhere, as far as that is known, and what to do."""

    id: str
    host: str
    path: str
    port: int | None
    workload: str | None
    https: bool
    service: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """What a service's domains lead to: its own port, or those of its workloads (by name, without
    jobs), as it is configured now, and the states of its rollout and its route, each empty where
    there is none."""

    ports: Mapping[str, int | Literal["none"] | None]
    rollout: Mapping[str, Any] = field(default_factory=dict[str, Any])
    route: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, service: Document, rollout: Document | None, route: Document | None) -> "Target":
        return cls(
            configured(service["state"]["settings"]),
            rollout["state"] if rollout else {},
            route["state"] if route else {},
        )

    @property
    def release(self) -> Release | None:
        found = self.rollout.get("wanted") or self.rollout.get("serving")
        return Release.from_stored(found) if found else None

    def port(self, workload: str | None) -> int | Literal["none"] | None:
        """As configured now; None also of a workload that is not."""
        if workload is None:
            return next(iter(self.ports.values())) if len(self.ports) == 1 else None
        return self.ports.get(workload)


def configured(settings: Mapping[str, Any] | None) -> dict[str, int | Literal["none"] | None]:
    """The ports of the workloads that settings, as they are stored, say by name."""
    if settings is None or "workloads" not in settings:
        return {MAIN: (settings or {}).get("runtime", {}).get("port")}
    return {each["name"]: each["port"] for each in settings["workloads"] if not each["job"]}


def unled(workload: str | None, target: Target) -> str | None:
    """Why a domain that names this workload, or none, leads to none."""
    release = target.release
    names = [each.name for each in release.programs] if release else list(target.ports)
    if workload is None and len(names) != 1:
        return (
            f"it names no workload, and there are {', '.join(names) or 'none'}: add it again"
            " with a workload"
        )
    if workload is None or workload in names:
        return None
    deployed = "deploy the service" if workload in target.ports else "add it again with another"
    return f"nothing of the name {workload} runs, so 503 is answered: {deployed}"


def problem(port: int | None, workload: str | None, target: Target) -> str | None:
    """Of a domain with this port and workload: None where it leads somewhere, or will as soon as
    the service is deployed."""
    wanted = target.port(workload)
    if wanted == "none":
        return 'the service listens on nothing (its port is "none"): set its port and deploy it'
    if (missing := unled(workload, target)) is not None:
        return missing
    if port is not None:
        return None
    release = target.release
    if release is None:
        return _undeployed(target) if wanted is None else None
    program = release.program(workload)
    if program is None or program.port is not None:
        return None
    if wanted is not None:
        return f"what runs was deployed without a port: deploy it, so that it has {wanted}"
    said = exposed(program.image.ports)
    return f"the image {said}: set port on the domain, or on the service and deploy it"


def _undeployed(target: Target) -> str:
    """Of what has no port and serves nothing yet: what its deployment has found, else that only one
    will."""
    failure = (target.route.get("refused") or {}).get("failure") or {}
    if failure.get("reason") == PORT_UNKNOWN:
        return f"{failure['detail']}; {failure['hint']}"
    return (
        "it is not known yet to which port it leads: deploy the service, whose image has to expose"
        " exactly one, or set port on the domain or the service"
    )


def domain_of(host: str, route: Mapping[str, Any], target: Target) -> dict[str, Any]:
    return {
        "id": route["domain"],
        "host": host,
        "path": route["path"],
        "port": route["port"],
        "workload": route["workload"],
        "https": False,
        "service": route["service"],
        "problem": problem(route["port"], route["workload"], target),
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
