"""The rules in the kernel, by the program nft."""

import subprocess
from pathlib import Path

_LONG = 10.0
"""Seconds."""
_DEVICES = Path("/sys/class/net")


class NotWritten(Exception):
    """What nft said, or that it can't be run."""


def apply(script: str) -> None:
    """All of it or nothing. Raises NotWritten."""
    _nft(["-f", "-"], script)


def standing(table: str) -> str:
    """The rules of the table as the kernel has them. Raises NotWritten where it is not there."""
    return _nft(["list", "table", "inet", table])


def _nft(arguments: list[str], script: str = "") -> str:
    try:
        done = subprocess.run(
            ["nft", *arguments],
            input=script,
            capture_output=True,
            text=True,
            timeout=_LONG,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotWritten(str(error)) from error
    if done.returncode:
        raise NotWritten(done.stderr.strip()[:1000])
    return done.stdout


def anybody_behind(bridges: str, devices: Path = _DEVICES) -> bool:
    """Whether a container is on one of the bridges whose names begin so."""
    return any(devices.glob(f"{bridges}*/brif/*"))
