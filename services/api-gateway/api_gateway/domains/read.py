"""Domains as they are shown, with the services that they lead to."""

from collections import defaultdict
from typing import Any

from slipway.readmodel.model import Documents

from api_gateway.documents import everything
from api_gateway.http.schema import Shown


class Domain(Shown):
    id: str
    host: str
    path: str
    port: int | None
    workload: str | None
    https: bool
    service: str


def domain_of(host: str, route: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": route["domain"],
        "host": host,
        "path": route["path"],
        "port": route["port"],
        "workload": route["workload"],
        "https": False,
        "service": route["service"],
    }


async def domains_of(
    documents: Documents, services: list[str]
) -> defaultdict[str, list[dict[str, Any]]]:
    """Service → its domains, ordered by host and path."""
    hosts = await everything(documents, "host", {"state.routes.service": services})
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for host in sorted(hosts, key=lambda item: item["state"]["host"]):
        for route in sorted(host["state"]["routes"], key=lambda item: item["path"]):
            if route["service"] in services:
                name = host["state"]["host"]
                found[route["service"]].append(domain_of(name, route))
    return found
