"""What the containers of this node have printed."""

from collections.abc import Sequence

from slipway.contracts.frames import Broken, Multiplexed, RawLine
from slipway.runtime.engine import EngineApi, EngineRefused

_BESIDE = 120
"""Bytes that stand beside a line where it is stored."""


class Outputs:
    def __init__(self, api: EngineApi) -> None:
        self._api = api

    async def last(self, container: str, count: int) -> list[str]:
        """Of both streams; nothing where that can't be read."""
        return await self._api.last_lines(container, count) if container else []

    async def first(self, container: str, most: int) -> tuple[Sequence[RawLine], bool]:
        """The lines until they take more than `most` bytes where they are stored, and whether these
        are all so far. Raises EngineAway, EngineMissing, EngineRefused."""
        decoder, lines, size = Multiplexed(), list[RawLine](), 0
        params = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        try:
            async with self._api.stream(f"containers/{container}/logs", **params) as response:
                while data := await response.content.readany():
                    for line in decoder.feed(data):
                        size += len(line.data) + _BESIDE
                        if size > most:
                            return lines, False
                        lines.append(line)
        except Broken as error:
            raise EngineRefused(str(error)) from error
        return [*lines, *decoder.end()], True
