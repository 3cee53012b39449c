"""What the guard is told, all of it by its environment."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.egress.policy import Address, NotAnEntry, Policy, listed


@dataclass(frozen=True, slots=True)
class Settings:
    """`bridges`: what the names of the instance's egress bridges begin with; `apart`: the one of
    workloads. `resolvers`: those that the installation found on its node; others may be in the
    node's own file."""

    instance: str
    bridges: str
    apart: str
    policy: Policy
    resolvers: tuple[Address, ...]


def read(environment: Mapping[str, str]) -> Settings:
    """Raises KeyError for a variable that is missing, NotAnEntry for one that can't be read. An
    entry of the operator's is never left out silently: the rules that stand stay."""
    return Settings(
        instance=environment["SLIPWAY_INSTANCE"],
        bridges=environment["SLIPWAY_EGRESS_BRIDGES"],
        apart=environment["SLIPWAY_EGRESS_APART"],
        policy=Policy(
            # Their number is judged where they are given: what was taken there has to hold here.
            allow=listed(
                f"{environment.get('SLIPWAY_EGRESS_ALLOW', '')}"
                f" {environment.get('SLIPWAY_EGRESS_SET', '')}"
            ),
            ports=tuple(
                int(environment[name]) for name in ("SLIPWAY_HTTP_PORT", "SLIPWAY_HTTPS_PORT")
            ),
            # A swarm of one node may have but a loopback address.
            nodes=tuple(
                each for each in _addresses(environment, "SLIPWAY_NODES") if not each.is_loopback
            ),
        ),
        resolvers=_addresses(environment, "SLIPWAY_RESOLVERS"),
    )


def _addresses(environment: Mapping[str, str], name: str) -> tuple[Address, ...]:
    try:
        return tuple(map(ipaddress.ip_address, environment.get(name, "").split()))
    except ValueError as error:
        raise NotAnEntry(f"{name} holds what is no address: {error}") from None
