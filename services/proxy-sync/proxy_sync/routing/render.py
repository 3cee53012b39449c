"""A service's part of Traefik's configuration. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from proxy_sync.routing.domain import Routing
from proxy_sync.routing.gap import RETRY_AFTER

PROBE = "X-Slipway-Probe"
ATTEMPT = "X-Slipway-Attempt"


def _rule(host: str, path: str) -> str:
    rule = f"Host(`{host}`)"
    if path != "/":
        rule += f" && (Path(`{path}`) || PathPrefix(`{path}/`))"
    return rule


def configuration(routing: Routing, secret: str) -> dict[str, Any]:
    """Routers and services; empty when nothing of it is routed or probed. A binding without an
    address stays a router: it answers 503, and no other service's."""
    routers: dict[str, Any] = {}
    services: dict[str, Any] = {}
    middlewares: dict[str, Any] = {}
    for binding in routing.bindings:
        name = f"d-{binding.domain}"
        routers[name] = {
            "entryPoints": ["web"],
            "rule": _rule(binding.host, binding.path),
            "priority": 1000 + len(binding.path),
            "service": name,
        }
        if binding.workload in routing.standing:
            middlewares |= _again_soon(routing.service)
            routers[name]["middlewares"] = list(_again_soon(routing.service))
        tasks = [address for of, address in routing.addresses if of == binding.workload]
        services[name] = _balancer(tuple(tasks), binding.port)
    for probe in routing.probes:
        name = f"p-{probe.task}-{probe.port}"
        routers[name] = {
            "entryPoints": ["web"],
            "rule": f"Header(`{PROBE}`, `{secret}.{probe.task}.{probe.port}`)",
            "priority": 1_000_000,
            "service": name,
            "middlewares": [f"{name}-mark"],
        }
        middlewares[f"{name}-mark"] = {
            "headers": {
                "customRequestHeaders": {PROBE: ""},
                "customResponseHeaders": {ATTEMPT: probe.attempt},
            }
        }
        services[name] = _balancer((probe.address,), probe.port)
    found = {"routers": routers, "services": services, "middlewares": middlewares}
    filled = {kind: entries for kind, entries in found.items() if entries}
    if not filled:
        return {}
    # Traefik's API shows it: this is how one sees that this very file is loaded.
    mark = fingerprint(filled)
    marked = {**middlewares, f"f-{routing.service}-{mark}": _seen(mark)}
    return {"http": {**filled, "middlewares": marked}}


def _again_soon(service: str) -> dict[str, Any]:
    """The gateway's words for the proxy's 503. What the client shows the program to be let in is
    not for the gateway. Without the gateway it is a 503 all the same, and says when to ask."""
    hidden = {"Authorization": "", "Cookie": ""}
    later = {"Retry-After": str(RETRY_AFTER)}
    headers = {"customRequestHeaders": hidden, "customResponseHeaders": later}
    said = {"status": ["503"], "service": "platform", "query": "/between-releases"}
    return {f"g-{service}-later": {"headers": headers}, f"g-{service}-said": {"errors": said}}


def _seen(mark: str) -> dict[str, Any]:
    return {"headers": {"customRequestHeaders": {"X-Slipway-Loaded": mark}}}


def _balancer(addresses: tuple[str, ...], port: int) -> dict[str, Any]:
    return {
        "loadBalancer": {
            "passHostHeader": True,
            "servers": [{"url": f"http://{address}:{port}"} for address in addresses],
        }
    }


def fingerprint(document: Mapping[str, Any]) -> str:
    body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).hexdigest()[:16]


def marker(document: Mapping[str, Any], service: str) -> str | None:
    """The name by which Traefik's API tells that the document is loaded; None for an empty one."""
    for name in document.get("http", {}).get("middlewares", {}):
        if name.startswith(f"f-{service}-"):
            return name
    return None
