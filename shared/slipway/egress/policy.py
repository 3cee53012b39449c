"""The egress policy as values. Pure."""

import ipaddress
import re
from dataclasses import dataclass

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network
type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST = 200
"""Entries that the operator may give."""
_LONGEST = 60
"""Characters of an entry."""
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class NotAnEntry(ValueError):
    """The sentence says what is wrong, and what would be right."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """An address or a range, at one port (TCP and UDP) or, with `port` None, whole."""

    network: Network
    port: int | None = None

    @property
    def exact(self) -> bool:
        """One address at one port: beats what is never allowed otherwise."""
        return self.port is not None and self.network.num_addresses == 1

    def __str__(self) -> str:
        whole = self.network.num_addresses == 1
        text = str(self.network.network_address) if whole else str(self.network)
        if self.port is None:
            return text
        return f"[{text}]:{self.port}" if self.network.version == 6 else f"{text}:{self.port}"


@dataclass(frozen=True, slots=True)
class Policy:
    """`allow` is the operator's; `ports` are the proxy's, published on every address of the
    machine; `nodes` are the swarm's: whoever reaches other ports of theirs may write into any
    overlay network."""

    allow: tuple[Allowed, ...] = ()
    ports: tuple[int, ...] = ()
    nodes: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one node: the resolvers it asks, and the networks of its bridges."""

    resolvers: tuple[Address, ...] = ()
    bridged: tuple[Network, ...] = ()


def allowed(text: str) -> Allowed:
    """From `10.0.0.1:5432`, `10.0.0.0/8`, `10.0.0.0/8:5432`, `fd00::/8`, `[fd00::1]:5432`. Raises
    NotAnEntry."""
    target, port = text.strip(), None
    if len(target) > _LONGEST:
        raise NotAnEntry(f"an entry has at most {_LONGEST} characters")
    if target.startswith("["):
        target, bracket, tail = target[1:].partition("]")
        if not bracket or not tail.startswith(":"):
            raise NotAnEntry(f"{text} is not an address: write [address]:port")
        port = _port(tail[1:], text)
    elif target.count(":") == 1:
        target, _, digits = target.partition(":")
        port = _port(digits, text)
    try:
        if "%" in target:
            raise ValueError("a zone, such as %eth0, is a node's own")
        return Allowed(ipaddress.ip_network(target), port)
    except ValueError:
        raise NotAnEntry(
            f"{text} is neither an address nor a range: write 10.0.0.1:5432, 10.0.0.0/8 or"
            " [fd00::1]:5432; a range begins with its first address, and names are not resolved"
        ) from None


def listed(text: str) -> tuple[Allowed, ...]:
    """With commas or blanks between them; each once. Raises NotAnEntry."""
    words = re.split(r"[\s,]+", text)
    return tuple(dict.fromkeys(allowed(word) for word in words if word))


def entries(text: str) -> tuple[Allowed, ...]:
    """Those of a setting. Raises NotAnEntry, also where they are too many."""
    found = listed(text)
    if len(found) > MOST:
        raise NotAnEntry(f"at most {MOST} entries can be allowed, and these are {len(found)}")
    return found


def _port(digits: str, text: str) -> int:
    if not _PORT.fullmatch(digits) or int(digits) > 65535:
        raise NotAnEntry(f"{text} has no port from 1 to 65535")
    return int(digits)
