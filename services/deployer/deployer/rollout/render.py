"""A workload as Swarm's service specification. Pure."""

import base64
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from slipway.contracts import labels
from slipway.contracts.registry import fetched
from slipway.contracts.values import (
    FileMount,
    HealthCheck,
    PublishedPort,
    TmpfsMount,
    VolumeMount,
)
from slipway.contracts.workload import Workload

LIFELINE = "/.slipway/lifeline"
_GUARDED = (LIFELINE, "guarded", "--")
"""Before what a health check runs: the engine does so from a container's first moment on."""
_SHELL = ("/bin/sh", "-c")
_NANO = 1_000_000_000
_GRACE = 30.0
"""Where nothing is said."""
_INTERVAL = 30 * _NANO
"""The engine's, where a health check says none."""
_OFTEN = _NANO // 2


def stop_seconds(workload: Workload) -> float:
    """What its program has to end, once it is told to."""
    return workload.stop_grace_seconds or _GRACE


def program_of(workload: Workload, image_config: Mapping[str, Any]) -> list[str]:
    """The words of what a container runs: the image's entry point, then the command, the workload's
    own or the image's. Empty where none of them says anything."""
    words = workload.command if workload.command is not None else image_config.get("Cmd") or ()
    return [*(image_config.get("Entrypoint") or ()), *words]


def swarm_service(
    *,
    instance: str,
    organization: str,
    project: str,
    environment: str,
    service: str,
    network: str,
    swarm_service: str,
    workload: Workload,
    image_config: Mapping[str, Any],
    replicas: int,
    start_interval: bool,
    pinned: str | None = None,
    files: Mapping[str, str] | None = None,
    host: str | None = None,
) -> dict[str, Any]:
    """The body for the engine's `POST /services/create`. `image_config` is the image's own
    `Config`; `start_interval`: the engine knows it (API 1.44); `pinned`: the node that
    has its volumes; `files`: name of a Swarm secret → its id, of those that `files` has; `host`:
    the Host with which its path is asked where the health check says none."""
    marks = {
        labels.INSTANCE: instance,
        labels.ORGANIZATION: organization,
        labels.PROJECT: project,
        labels.ENVIRONMENT: environment,
        labels.SERVICE: service,
        labels.WORKLOAD: workload.name,
        labels.RELEASE: swarm_service,
    }
    if workload.holds:
        marks[labels.HOLDS] = ",".join(workload.holds)
    own = [each.name for each in workload.networks]
    reached_on = labels.reached_on(instance, environment, service, own)
    if reached_on != network:
        marks[labels.NETWORK] = reached_on
    program = program_of(workload, image_config)
    drain = workload.drain_seconds if workload.drains else 0.0
    container: dict[str, Any] = {
        "Image": workload.image.reference,
        "Labels": {**workload.labels, **marks},
        "Env": [
            f"{name}={_literal(value)}" for name, value in sorted(workload.environment.items())
        ],
        "Command": [LIFELINE, "run", "--drain", f"{drain:g}", "--guarded", "--", *program],
        # Raw packets could bear another's address.
        "CapabilityDrop": ["NET_RAW"],
        "StopGracePeriod": int((drain + stop_seconds(workload)) * _NANO),
        "Init": False,
        "Mounts": [
            {
                "Type": "volume",
                "Source": f"{instance}_lifeline",
                "Target": "/.slipway",
                "ReadOnly": True,
            },
            *(
                _mount(mount, instance, service, marks)
                for mount in workload.mounts
                if not isinstance(mount, FileMount)
            ),
        ],
    }
    secrets = [
        _secret(mount, name, (files or {})[name], workload.user)
        for name, mount in _named_files(instance, swarm_service, workload)
    ]
    if secrets:
        container["Secrets"] = secrets
    if workload.user is not None:
        container["User"] = workload.user
    if workload.stop_signal is not None:
        container["StopSignal"] = workload.stop_signal
    if workload.job:
        container["HealthCheck"] = {"Test": ["NONE"]}
    else:
        check = workload.health_check
        if check is not None and check.path and not check.host:
            check = check.model_copy(update={"host": host})
        health = _health(check, workload.port, image_config, start_interval)
        if health is not None:
            container["HealthCheck"] = health
    node = pinned or workload.image.node
    again = {"Condition": "none"} if workload.job else {"Condition": "any", "Delay": _NANO}
    once = {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    return {
        "Name": swarm_service,
        "Labels": marks,
        "TaskTemplate": {
            "ContainerSpec": container,
            "Resources": _resources(workload),
            "RestartPolicy": again,
            "Placement": {"Constraints": [f"node.id=={node}"] if node else []},
            "Networks": _networks(workload, instance, service, network, reached_on),
            "LogDriver": {
                "Name": "json-file",
                "Options": {"max-size": "10m", "max-file": "3"},
            },
        },
        "Mode": once if workload.job else {"Replicated": {"Replicas": replicas}},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": [_published(port) for port in workload.ports]},
    }


def placed(
    body: Mapping[str, Any], instance: str, registry_port: int, way_out: str
) -> dict[str, Any]:
    """The body for the engine's `POST /services/create`, with the names that things have there."""
    template = body["TaskTemplate"]
    container = template["ContainerSpec"]
    named = container | {"Image": fetched(registry_port, container["Image"])}
    first = labels.egress_network(instance)
    networks = [
        each | {"Target": way_out} if each["Target"] == first else each
        for each in template.get("Networks", ())
    ]
    return {**body, "TaskTemplate": {**template, "ContainerSpec": named, "Networks": networks}}


def _networks(
    workload: Workload, instance: str, service: str, network: str, reached_on: str
) -> list[dict[str, Any]]:
    """The environment's first, if it is in it; the way out last. Nobody calls a job."""
    named = {network: workload.aliases} if reached_on == network else {}
    for each in workload.networks:
        named[labels.service_network(instance, service, each.name)] = each.aliases
    return [
        *(
            {"Target": target, "Aliases": [] if workload.job else list(aliases)}
            for target, aliases in named.items()
        ),
        {"Target": labels.egress_network(instance)},
    ]


def _resources(workload: Workload) -> dict[str, Any]:
    """Those of Swarm: nothing where nothing is said."""
    found: dict[str, Any] = {}
    for kind, cpu, memory in (
        ("Limits", workload.cpu_limit, workload.memory_limit),
        ("Reservations", workload.cpu_reservation, workload.memory_reservation),
    ):
        said: dict[str, int] = {}
        if cpu is not None:
            said["NanoCPUs"] = int(cpu * _NANO)
        if memory is not None:
            said["MemoryBytes"] = memory
        if said:
            found[kind] = said
    return found


def files(
    instance: str, service: str, swarm_service: str, workload: Workload
) -> list[dict[str, Any]]:
    """The bodies for the engine's `POST /secrets/create`, one for each file of the workload. They
    are the release's, and go with it."""
    marks = {
        labels.INSTANCE: instance, labels.SERVICE: service, labels.RELEASE: swarm_service,
    }  # fmt: skip
    return [
        {
            "Name": name,
            "Labels": marks,
            "Data": base64.b64encode((mount.content or "").encode()).decode(),
        }
        for name, mount in _named_files(instance, swarm_service, workload)
    ]


def _named_files(
    instance: str, swarm_service: str, workload: Workload
) -> list[tuple[str, FileMount]]:
    return [
        (labels.file(instance, swarm_service, mount.path), mount)
        for mount in workload.mounts
        if isinstance(mount, FileMount)
    ]


def _secret(mount: FileMount, name: str, id_: str, user: str | None) -> dict[str, Any]:
    """It belongs to the user that the program runs as, where that is said as a number."""
    uid, _, gid = (user or "").partition(":")
    return {
        "SecretID": id_,
        "SecretName": name,
        "File": {
            "Name": mount.path,
            "UID": uid if uid.isdecimal() else "0",
            "GID": gid if gid.isdecimal() else "0",
            "Mode": int(mount.mode, 8),
        },
    }


def _mount(
    mount: VolumeMount | TmpfsMount, instance: str, service: str, marks: Mapping[str, str]
) -> dict[str, Any]:
    match mount:
        case VolumeMount(name=name, path=path):
            of = {labels.INSTANCE, labels.ORGANIZATION, labels.SERVICE}
            return {
                "Type": "volume",
                "Source": labels.volume(instance, service, name),
                "Target": _literal(path),
                "VolumeOptions": {"Labels": {key: marks[key] for key in sorted(of)}},
            }
        case TmpfsMount(path=path, size=size):
            return {"Type": "tmpfs", "Target": _literal(path), "TmpfsOptions": {"SizeBytes": size}}
        case _:
            assert_never(mount)


def _published(port: PublishedPort) -> dict[str, Any]:
    return {
        "Protocol": port.protocol,
        "TargetPort": port.port,
        "PublishedPort": port.published,
        "PublishMode": "host",
    }


def _literal(value: str) -> str:
    """Swarm expands the values of variables and the paths of mounts as Go templates, and nothing
    else that others say here. In a template `{{"{{"}}` is two braces, and the rest is text."""
    return re.sub(r"\{{2,}", r'{{"\g<0>"}}', value)


def _health(
    wanted: HealthCheck | None,
    port: int | None,
    image_config: Mapping[str, Any],
    start_interval: bool,
) -> dict[str, Any] | None:
    """The service's own; else the image's (what isn't said is as it says); else, with a port,
    one that asks the port, so that a name leads only to tasks that listen. An engine that knows no
    start interval asks often all the time, and is as patient by counting more."""
    own = (image_config.get("Healthcheck") or {}).get("Test")
    if wanted is None and own and own != ["NONE"]:
        said = _of_the_image(image_config["Healthcheck"]) if start_interval else {}
        return {**said, "Test": _guarded(own, image_config.get("Shell") or _SHELL)}
    if wanted is not None and wanted.command:
        test = ["CMD", *_GUARDED, *wanted.command]
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


def _guarded(test: Sequence[str], shell: Sequence[str]) -> list[str]:
    """The image's own."""
    kind, *words = test
    return ["CMD", *_GUARDED, *(shell if kind == "CMD-SHELL" else ()), *words]


def asked(test: Sequence[str]) -> tuple[str, ...]:
    """What a health check runs, without what was put before it here."""
    words = tuple(test)[1:]
    for before in (_GUARDED, _SHELL):
        words = words[len(before) :] if words[: len(before)] == before else words
    return words


def _question(check: HealthCheck, port: int) -> list[str]:
    host = ["--host", check.host] if check.host else []
    path = [check.path] if check.path else []
    return [LIFELINE, "check", "--timeout", f"{check.timeout:g}", *host, str(port), *path]
