"""Where a repository really is: resolved once, checked, and pinned for the clone."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

OWN_REPOSITORIES = "sample-git"
"""The sample's git server, the only part of the control network that may be cloned from."""


_PATIENCE = 20.0
"""Seconds for the resolver."""


class AddressRefused(Exception):
    """Why the address is not cloned from."""


async def pin(url: str, *, allow_private: bool, control: Sequence[str]) -> str:
    """`host:port:address` for git. Raises AddressRefused, and OSError when the name is not
    known."""
    loop = asyncio.get_running_loop()
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        async with asyncio.timeout(_PATIENCE):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError as error:  # an empty or too long part of the name among them
        raise AddressRefused("the address has no name or port that can exist") from error
    address = ipaddress.ip_address(found[0][4][0])
    address = getattr(address, "ipv4_mapped", None) or address
    networks = [ipaddress.ip_network(subnet) for subnet in control]
    if any(address in network for network in networks):
        if not (allow_private and host == OWN_REPOSITORIES):
            raise AddressRefused("the address is the platform's own")
    elif address.is_loopback or address.is_link_local or address.is_unspecified:
        raise AddressRefused("the address is this machine's own or link-local")
    elif address.is_multicast or address.is_reserved:
        raise AddressRefused("the address is reserved or a group's; no server has it")
    elif not address.is_global and not allow_private:
        raise AddressRefused("the address is private")
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{port}:{shown}"
