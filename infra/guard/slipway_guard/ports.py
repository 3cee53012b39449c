"""The ports of the bridges whose members don't reach one another. Rules see frames from one port to
another of the same bridge only where the kernel filters those too (the setting
`net.bridge.bridge-nf-call-iptables`); isolated ports exchange none, whatever is set there."""

import os
import socket
import struct
import threading
import time
from pathlib import Path

_EVERY = 10.0
_DEVICES = Path("/sys/class/net")
_SETLINK, _ACKNOWLEDGED = 19, 0x5
_PROTOCOL_DATA, _NESTED, _ISOLATED = 12, 1 << 15, 33
"""linux/rtnetlink.h and linux/if_link.h."""


def keep(bridges: str, stopping: threading.Event, changed: threading.Event) -> None:
    """Until told to end: now, after each change of a device, and every ten seconds. `bridges`: what
    their names begin with."""
    said = ""
    while not stopping.is_set():
        changed.clear()
        began = time.monotonic()
        try:
            isolate(bridges)
            now = ""
        except OSError as error:
            now = f"ports of {bridges}* could not be isolated: {error}"
        if now and now != said:
            print(now, flush=True)
        said = now
        # Half of the time at most, however many start. Before the wait: a new port is open until
        # it is looked at.
        stopping.wait(time.monotonic() - began)
        changed.wait(_EVERY)


def isolate(bridges: str, devices: Path = _DEVICES) -> None:
    """Raises OSError where the kernel refuses, once all others are isolated."""
    refused: OSError | None = None
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        for port in devices.glob(f"{bridges}*/brif/*"):
            try:
                if (port / "isolated").read_text() != "1\n":
                    _isolate(kernel, socket.if_nametoindex(port.name))
            except OSError as error:
                if port.exists():  # else its container ended meanwhile
                    refused = error
    if refused is not None:
        raise refused


def _isolate(kernel: socket.socket, device: int) -> None:
    flag = struct.pack("=HHB3x", 5, _ISOLATED, 1)
    data = struct.pack("=HH", 4 + len(flag), _PROTOCOL_DATA | _NESTED) + flag
    link = struct.pack("=BxHiII", socket.AF_BRIDGE, 0, device, 0, 0) + data
    kernel.send(struct.pack("=IHHII", 16 + len(link), _SETLINK, _ACKNOWLEDGED, 0, 0) + link)
    _, _, _, _, _, code = struct.unpack_from("=IHHIIi", kernel.recv(1 << 12))
    if code:
        raise OSError(-code, os.strerror(-code))
