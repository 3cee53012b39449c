"""What the kernel tells when anybody changes rules of nftables."""

import errno
import socket
import sys
from collections.abc import Callable

_NETFILTER = 12
_NFTABLES = 1 << 6
"""The group of nftables' changes, the seventh (linux/netfilter/nfnetlink.h)."""


def follow(told: Callable[[], None]) -> None:
    """For ever: `told` is called after each change, the guard's own too. Where the kernel doesn't
    tell, that is said, and the rules are written at their time alone."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as kernel:
            kernel.bind((0, _NFTABLES))
            while True:
                _next(kernel)
                told()
    except OSError as error:
        print(f"nobody tells of changed rules: {error}", file=sys.stderr, flush=True)


def _next(kernel: socket.socket) -> None:
    """What was changed is not read: more of it than there is room for is a change as well."""
    try:
        kernel.recv(1 << 16)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
