"""What the rules need to know of the node, from the files of its kernel."""

import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from slipway.egress.policy import Address, Facts, Network


def of_node(resolvers: Iterable[Address], root: Path = Path("/")) -> Facts:
    """`resolvers`: others than those of the node's own file. A bridge that leads out of the machine
    is none of the engine's: behind it are the machine's neighbours."""
    routes = [*_routes4(root / "proc/net/route"), *_routes6(root / "proc/net/ipv6_route")]
    outward = {device for device, network in routes if network.prefixlen == 0}
    bridges = {path.parent.name for path in (root / "sys/class/net").glob("*/bridge")} - outward
    own = _resolvers((root / "etc/resolv.conf").read_text(errors="replace"))
    return Facts(
        # The engine asks one on the loopback itself; of a workload its packets can't come.
        resolvers=tuple(each for each in dict.fromkeys((*resolvers, *own)) if not each.is_loopback),
        bridged=tuple(network for device, network in routes if device in bridges),
    )


def _resolvers(text: str) -> list[Address]:
    """What is no address is nobody's resolver: the rules don't wait until somebody mends it."""
    found: list[Address] = []
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_] if "%" not in address:
                with suppress(ValueError):
                    found.append(ipaddress.ip_address(address))
            case _:
                pass
    return found


def _routes4(file: Path) -> list[tuple[str, Network]]:
    """Device and network of each route that leads through no other machine, and of the way out."""
    found: list[tuple[str, Network]] = []
    for line in file.read_text().splitlines()[1:]:
        device, to, gateway, _, _, _, _, mask, *_ = line.split()
        prefix = int(mask, 16).bit_count()
        if int(gateway, 16) == 0 or prefix == 0:
            network = int.from_bytes(bytes.fromhex(to), "little")
            found.append((device, ipaddress.IPv4Network((network, prefix))))
    return found


def _routes6(file: Path) -> list[tuple[str, Network]]:
    """The same; none where the kernel has no IPv6."""
    found: list[tuple[str, Network]] = []
    for line in file.read_text().splitlines() if file.exists() else ():
        to, prefix, _, _, gateway, *_, device = line.split()
        if device != "lo" and (int(gateway, 16) == 0 or int(prefix, 16) == 0):
            network = ipaddress.IPv6Network((int(to, 16), int(prefix, 16)))
            if not network.is_multicast:
                found.append((device, network))
    return found
