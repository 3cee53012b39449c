"""A release as Swarm's service specification. Pure."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.contracts import labels
from slipway.contracts.rollout import Release
from slipway.contracts.values import HealthCheck, Specification

LIFELINE = "/.slipway/lifeline"
_NANO = 1_000_000_000
_INTERVAL = 30 * _NANO
"""The engine's, where a health check says none."""
_OFTEN = _NANO // 2


def port_of(specification: Specification, exposed: Sequence[int]) -> int | None:
    """The wanted port, else the only one that the image exposes."""
    wanted = specification.settings.runtime.port
    if wanted == "none":
        return None
    return wanted or (exposed[0] if len(exposed) == 1 else None)


def program_of(specification: Specification, image_config: Mapping[str, Any]) -> list[str]:
    """The words of what a container runs: the image's entry point, then the command, the service's
    own or the image's. Empty where none of them says anything."""
    wanted = specification.settings.runtime.command
    words = wanted if wanted is not None else image_config.get("Cmd") or ()
    return [*(image_config.get("Entrypoint") or ()), *words]


def swarm_service(
    *,
    instance: str,
    organization: str,
    project: str,
    environment: str,
    service: str,
    network: str,
    release: Release,
    specification: Specification,
    variables: Mapping[str, str],
    image_config: Mapping[str, Any],
    replicas: int,
    start_interval: bool,
) -> dict[str, Any]:
    """The body for the engine's `POST /services/create`. `image_config` is the image's own
    `Config`; `start_interval`: the engine knows it (API 1.44)."""
    runtime = specification.settings.runtime
    marks = {
        labels.INSTANCE: instance,
        labels.ORGANIZATION: organization,
        labels.PROJECT: project,
        labels.ENVIRONMENT: environment,
        labels.SERVICE: service,
        labels.DEPLOYMENT: release.deployment,
        labels.SPECIFICATION: release.specification_digest,
        labels.ATTEMPT: str(release.attempt),
    }
    env = dict(variables)
    if release.port is not None:
        env.setdefault("PORT", str(release.port))
    program = program_of(specification, image_config)
    drain = runtime.drain_seconds if release.port is not None else 0.0
    container: dict[str, Any] = {
        "Image": release.image.reference,
        "Labels": marks,
        "Env": [f"{name}={_literal(value)}" for name, value in sorted(env.items())],
        "Command": [LIFELINE, "run", "--drain", f"{drain:g}", "--", *program],
        "StopGracePeriod": int((drain + 30) * _NANO),
        "Init": False,
        "Mounts": [
            {
                "Type": "volume",
                "Source": f"{instance}_lifeline",
                "Target": "/.slipway",
                "ReadOnly": True,
            }
        ],
    }
    health = _health(runtime.health_check, release.port, image_config, start_interval)
    if health is not None:
        container["HealthCheck"] = health
    constraints = [f"node.id=={release.image.node}"] if release.image.node else []
    limits: dict[str, int] = {}
    if runtime.cpu_limit is not None:
        limits["NanoCPUs"] = int(runtime.cpu_limit * _NANO)
    if runtime.memory_limit is not None:
        limits["MemoryBytes"] = runtime.memory_limit
    return {
        "Name": release.swarm_service,
        "Labels": marks,
        "TaskTemplate": {
            "ContainerSpec": container,
            "Resources": {"Limits": limits} if limits else {},
            "RestartPolicy": {"Condition": "any", "Delay": _NANO},
            "Placement": {"Constraints": constraints},
            "Networks": [{"Target": network, "Aliases": [specification.name]}],
            "LogDriver": {
                "Name": "json-file",
                "Options": {"max-size": "10m", "max-file": "3"},
            },
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def _literal(value: str) -> str:
    """Swarm expands the values of variables as Go templates; of all else that is given here only
    mounts, whose names are ours. In a template `{{"{{"}}` is two braces, and the rest is text."""
    return re.sub(r"\{{2,}", r'{{"\g<0>"}}', value)


def _health(
    wanted: HealthCheck | None,
    port: int | None,
    image_config: Mapping[str, Any],
    start_interval: bool,
) -> dict[str, Any] | None:
    """The service's own; else the image's (None: it is left as it is); else, with a port,
    one that asks the port, so that a name leads only to tasks that listen. An engine that knows no
    start interval asks often all the time, and is as patient by counting more."""
    own = (image_config.get("Healthcheck") or {}).get("Test")
    if wanted is None and own and own != ["NONE"]:
        return _of_the_image(image_config["Healthcheck"]) if start_interval else None
    if wanted is not None and wanted.command:
        test = ["CMD", *wanted.command]
    elif port is not None:
        test = ["CMD", *_question(wanted or HealthCheck(), port)]
    else:
        return None
    check = wanted or HealthCheck()
    interval = check.interval if start_interval else min(check.interval, 1.0)
    found = {
        "Test": test,
        "Interval": int(interval * _NANO),
        "Timeout": int(check.timeout * _NANO),
        "Retries": math.ceil(check.retries * check.interval / interval),
        "StartPeriod": int((check.start_period or check.interval) * _NANO),
    }
    if start_interval:
        found["StartInterval"] = _NANO // 4
    return found


def _of_the_image(check: Mapping[str, Any]) -> dict[str, Any]:
    """Asked often while it starts, and judged when the engine would have judged it. Where the image
    gives no start period, that is the first interval: the engine would have asked for the first
    time at its end, and so the answers that count are the same."""
    period = check.get("StartPeriod") or check.get("Interval") or _INTERVAL
    often = min(check.get("StartInterval") or _OFTEN, _OFTEN)
    return {**check, "StartPeriod": period, "StartInterval": often}


def _question(check: HealthCheck, port: int) -> list[str]:
    host = ["--host", check.host] if check.host else []
    path = [check.path] if check.path else []
    return [LIFELINE, "check", "--timeout", f"{check.timeout:g}", *host, str(port), *path]
