"""What workloads and builds may call beyond public addresses, as far as make up knows it."""

import ipaddress
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from slipway.contracts import labels
from slipway.egress import way_out
from slipway.egress.policy import Allowed, NotAnEntry, entries
from slipway.egress.render import NOT_PUBLIC

from slipway_install import engine
from slipway_install.errors import InstallError
from slipway_install.settings import Settings

_PORTS = {"http": 80, "https": 443}
_SET = "SLIPWAY_EGRESS_SET="

type Resolve = Callable[[str], Iterable[str]]
"""The addresses of a host; none where it has none."""


def addresses_of(host: str) -> list[str]:
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None)})
    except OSError:
        return []


def allowed(settings: Settings, resolve: Resolve = addresses_of) -> str:
    """For the guard: the operator's entries, and the package registries that this machine is set up
    with, where they have no public address. Raises InstallError."""
    try:
        said = entries(settings.egress_allow)
    except NotAnEntry as error:
        raise InstallError(
            f"SLIPWAY_EGRESS_ALLOW can't be read: {error}", "mend it, then run make up again"
        ) from None
    found = [*said, *_registries(settings.registries, resolve)]
    return " ".join(map(str, dict.fromkeys(found)))


def _registries(urls: Iterable[str], resolve: Resolve) -> Iterable[Allowed]:
    for url in urls:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
        if parts.hostname is None or port is None:
            continue
        for text in resolve(parts.hostname):
            if "%" in text:
                continue  # on one link of this machine alone
            network = ipaddress.ip_network(text)
            if any(
                network.version == each.version and network.subnet_of(each)  # pyright: ignore
                for each in NOT_PUBLIC
            ):
                yield Allowed(network, port)


def set_by_operator(settings: Settings) -> str:
    """What the operator allows by the API, as the deployer has told the guard."""
    guard = engine.inspect("service", settings.named("guard"))
    told = guard["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env", []) if guard else []
    return next((each.removeprefix(_SET) for each in told if each.startswith(_SET)), "")


def ensure_networks(settings: Settings) -> None:
    """The way out of workloads. Raises InstallError where a former version made networks that lead
    out themselves."""
    existing = engine.names("network", settings.instance)
    for name in sorted(existing):
        if name.startswith((settings.named("env_"), settings.named("svc_"))):
            _leads_nowhere(settings, name)
    ways = engine.rows(
        "network", "ls", "--filter", f"name={labels.egress_network(settings.instance)}"
    )
    if any(labels.egress_number(settings.instance, row["Name"]) is not None for row in ways):
        return
    of_node, of_swarm = way_out.networks(settings.instance, secrets.token_hex(2))
    if of_node["Name"] not in existing:
        engine.run(*created(of_node))
    engine.run(*created(of_swarm))


def created(network: Mapping[str, Any]) -> list[str]:
    """The engine's command for what is also a body of `POST /networks/create`."""
    argv = ["network", "create"]
    if network.get("ConfigOnly"):
        argv += ["--config-only"]
    else:
        argv += ["--driver", network["Driver"], "--scope", network["Scope"]]
        argv += ["--config-from", network["ConfigFrom"]["Network"]]
    for option, values in (("--opt", "Options"), ("--label", "Labels")):
        for name, value in network.get(values, {}).items():
            argv += [option, f"{name}={value}"]
    return [*argv, network["Name"]]


def _leads_nowhere(settings: Settings, network: str) -> None:
    found = engine.inspect("network", network)
    if found is not None and not found["Internal"]:
        raise InstallError(
            f"{settings.instance} was made by a version whose environments led out of the machine"
            f" past the guard's rules (the network {network}), and networks can't be changed",
            "remove it with its data by make purge, then run make up again",
        )
