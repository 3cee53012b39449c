"""Where a repository really is: resolved once, checked, and pinned for the clone."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

OWN_REPOSITORIES = "sample-git"
"""The sample's git server, the only part of the control network that may be cloned from."""


class Refused(Exception):
    """Why the address is not cloned from."""


async def pin(url: str, *, allow_private: bool, control: Sequence[str]) -> str:
    """`host:port:address` for git. Raises Refused, and OSError when the name is not known."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    address = ipaddress.ip_address(found[0][4][0])
    address = getattr(address, "ipv4_mapped", None) or address
    networks = [ipaddress.ip_network(subnet) for subnet in control]
    if any(address in network for network in networks):
        if not (allow_private and host == OWN_REPOSITORIES):
            raise Refused("the address is the platform's own")
    elif address.is_loopback or address.is_link_local or address.is_unspecified:
        raise Refused("the address is of this machine or link")
    elif address.is_multicast or address.is_reserved:
        raise Refused("the address is none of a server")
    elif not address.is_global and not allow_private:
        raise Refused("the address is private")
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{port}:{shown}"
