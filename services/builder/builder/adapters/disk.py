"""The engine's disk, and what an organization's builds and cache take of it."""

import asyncio
import re
import shutil
from pathlib import Path

from slipway.runtime.engine import EngineApi

from builder.adapters import shell
from builder.build.room import Room

_PATIENCE, _COUNTING = 60.0, 55
"""Seconds for counting what lies in a volume. Who counts ends by itself before: a program in a
container outlives whoever asked for it."""


class Disk:
    """`folders` of this container that lie on the engine's disk. Where a volume of them is a disk
    of its own, the one with the least room counts."""

    def __init__(self, engine: EngineApi, *folders: Path) -> None:
        self._engine, self._folders = engine, folders
        self._name = ""

    async def room(self) -> Room:
        if not self._name:
            info = await self._engine.query("info")
            self._name = str(info.get("DockerRootDir") or "the engine's")
        found = await asyncio.to_thread(lambda: [shutil.disk_usage(each) for each in self._folders])
        # What is set apart for the superuser is no room: containers' users meet the end before.
        rooms = [Room(self._name, each.free, each.used + each.free) for each in found]
        return min(rooms, key=lambda room: room.percent)

    async def taken(self, container: str, folder: str) -> int | None:
        argv = ["docker", "exec", container, "timeout", f"{_COUNTING}", "du", "-skx", folder]
        try:
            async with asyncio.timeout(_PATIENCE):
                _, said = await shell.run(argv)
        except TimeoutError:
            return None
        # What goes while it is counted is told too, and makes the code another one.
        match = re.search(rf"^(\d+)\s+{re.escape(folder)}$", said, re.MULTILINE)
        return int(match[1]) << 10 if match else None
