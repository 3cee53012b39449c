"""What the kernel tells when anybody changes rules of nftables, or a device."""

import errno
import socket
import sys
from collections.abc import Callable

RULES = (12, 1 << 6)
"""The group of nftables' changes, the seventh of netfilter's (linux/netfilter/nfnetlink.h)."""
DEVICES = (socket.NETLINK_ROUTE, 1)
"""That of devices, of a bridge's new ports too (linux/rtnetlink.h)."""


def follow(group: tuple[int, int], told: Callable[[], None]) -> None:
    """For ever: `told` is called after each change, the guard's own too. Where the kernel doesn't
    tell, that is said, and what there is to do is done at its time alone."""
    protocol, bit = group
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as kernel:
            kernel.bind((0, bit))
            while True:
                _next(kernel)
                told()
    except OSError as error:
        print(f"nobody tells of changes: {error}", file=sys.stderr, flush=True)


def _next(kernel: socket.socket) -> None:
    """What was changed is not read: more of it than there is room for is a change as well."""
    try:
        kernel.recv(1 << 16)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
