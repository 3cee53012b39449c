"""Named places at which a test makes a process die, stop or fail.

A reaction registers its points at import with `register`; the chaos suite takes them from the
registry, so that a new step can't be left out. They are armed by the environment variable
`SLIPWAY_FAILPOINTS` (`name=kill`, `name=error`, `name=delay:2.5`, comma separated), or by a file
of that form named by `SLIPWAY_FAILPOINTS_FILE`, read anew each time so that a running process can
be armed. A point armed with `kill` fires once: its line is taken out of the file first.
"""

import asyncio
import os
from pathlib import Path

REGISTRY: set[str] = set()


class Injected(Exception):
    """The error of a fail point armed with `error`."""


def register(*names: str) -> None:
    REGISTRY.update(names)


def _armed() -> dict[str, str]:
    text = os.environ.get("SLIPWAY_FAILPOINTS", "")
    file = os.environ.get("SLIPWAY_FAILPOINTS_FILE")
    if file and (path := Path(file)).is_file():
        text = f"{text},{','.join(path.read_text().split())}"
    pairs = (item.split("=", 1) for item in text.split(",") if "=" in item)
    return {name.strip(): action.strip() for name, action in pairs}


def _disarm(name: str) -> None:
    file = os.environ.get("SLIPWAY_FAILPOINTS_FILE")
    if file and (path := Path(file)).is_file():
        rest = [
            item
            for item in path.read_text().replace(",", " ").split()
            if item.split("=")[0] != name
        ]
        path.write_text("\n".join(rest))


async def hit(name: str) -> None:
    """Do what the point is armed with; nothing otherwise. Costs two look-ups when disarmed."""
    if "SLIPWAY_FAILPOINTS" not in os.environ and "SLIPWAY_FAILPOINTS_FILE" not in os.environ:
        return
    action = _armed().get(name)
    if action is None:
        return
    if action == "kill":
        _disarm(name)
        # In a container the process is its number 1, which the kernel spares its own SIGKILL: this
        # ends it as suddenly, without any handler, buffer or finally.
        os._exit(137)
    elif action == "error":
        raise Injected(name)
    elif action.startswith("delay:"):
        await asyncio.sleep(float(action.removeprefix("delay:")))
