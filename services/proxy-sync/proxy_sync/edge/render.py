"""Traefik itself: its start, the platform's own routes, and its container. Pure."""

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit

import orjson
from slipway.contracts import labels

HASH = "slipway.traefik"
"""The label with the hash of all that the container was made from."""
PLATFORM_PORT = 4000
CONTROL_PORT = 8080
_WEBHOOK = "^/v1/webhooks/git/[A-Za-z0-9_-]{1,100}$"


def static(control_address: str) -> dict[str, Any]:
    """Traefik's own start. Its API listens on the control network's address alone; the entry for
    the platform's API is published on loopback by the container's port binding."""
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "WARN"},
        "api": {"dashboard": False, "insecure": False},
        "ping": {"entryPoint": "control"},
        "entryPoints": {
            "web": _entry(":80"),
            "websecure": _entry(":443"),
            "platform": _entry(f":{PLATFORM_PORT}"),
            "control": {"address": f"{control_address}:{CONTROL_PORT}"},
        },
        "providers": {
            "providersThrottleDuration": "50ms",
            "file": {"directory": "/etc/traefik/dynamic", "watch": True},
        },
    }


def _entry(address: str) -> dict[str, Any]:
    return {
        "address": address,
        "transport": {
            # Uploads, event streams and WebSockets last as long as they last.
            "respondingTimeouts": {"readTimeout": "0s", "idleTimeout": "180s"},
            "lifeCycle": {"requestAcceptGraceTimeout": "0s", "graceTimeOut": "10s"},
        },
    }


def user(name: str, password: str) -> str:
    """A line of an htpasswd file. The password is random and long, and asked for many times a
    second, so a plain hash is right."""
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest())
    return f"{name}:{{SHA}}{digest.decode()}"


def _webhooks(public_url: str) -> dict[str, Any]:
    """Every service's own routes come first, but not at the host that all addresses of webhooks
    name: their tokens would go to whoever has a domain there."""
    rule = f"Method(`POST`) && PathRegexp(`{_WEBHOOK}`)"
    of_all = {"entryPoints": ["web"], "rule": rule, "priority": 1, "service": "platform"}
    host = urlsplit(public_url).hostname or ""
    if not host or ":" in host:  # an IPv6 address is no domain's host
        return {"webhooks": of_all}
    own = {**of_all, "rule": f"Host(`{host}`) && {rule}", "priority": 900_000}
    return {"webhooks": of_all, "own-webhooks": own}


def platform(
    *, users: str, loopback: list[str], gateway: str, public_url: str = ""
) -> dict[str, Any]:
    """The platform's own routes: its API for those who come by loopback, Traefik's API for
    proxy-sync, and for everybody what git servers call. `loopback` are the addresses from which
    the published port is reached."""
    return {
        "http": {
            "routers": {
                "platform": {
                    "entryPoints": ["platform"],
                    "rule": "PathPrefix(`/`)",
                    "service": "platform",
                    "middlewares": ["platform-only-here"],
                },
                **_webhooks(public_url),
                "control": {
                    "entryPoints": ["control"],
                    "rule": "PathPrefix(`/api`)",
                    "service": "api@internal",
                    "middlewares": ["control-sign-in"],
                },
            },
            "middlewares": {
                "platform-only-here": {"ipAllowList": {"sourceRange": loopback}},
                "control-sign-in": {"basicAuth": {"users": [users]}},
            },
            "services": {
                "platform": {"loadBalancer": {"servers": [{"url": gateway}]}},
            },
        }
    }


def container(
    *, instance: str, image: str, http_port: int, https_port: int, api_port: int
) -> dict[str, Any]:
    """The body for the engine's `POST /containers/create`, without networks and without `HASH`."""

    def published(port: int, address: str = "") -> list[dict[str, str]]:
        return [{"HostIp": address, "HostPort": str(port)}]

    ports = {
        "80/tcp": published(http_port),
        "443/tcp": published(https_port),
        f"{PLATFORM_PORT}/tcp": published(api_port, "127.0.0.1"),
    }
    return {
        "Image": image,
        "Cmd": ["--configFile=/etc/traefik/traefik.yml"],
        "Labels": {labels.INSTANCE: instance},
        "ExposedPorts": {port: {} for port in ports},
        "HostConfig": {
            "PortBindings": ports,
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": f"{instance}_traefik",
                    "Target": "/etc/traefik",
                    "ReadOnly": True,
                }
            ],
            "RestartPolicy": {"Name": "always"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
            "Memory": 1 << 30,
        },
    }


def mark(*documents: Any) -> str:
    return hashlib.sha256(orjson.dumps(documents, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
