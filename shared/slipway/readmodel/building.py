"""What builds a generation anew: this process (`rebuild.Rebuild`), or some of its own
(`processes.Processes`)."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from slipway.readmodel.model import Progress
from slipway.readmodel.tail import BATCH

APART = 200_000
"""Events from which on a rebuild is worth processes of its own: they take two seconds to start, and
read the log once each."""

type Turn = Callable[[], Awaitable[None]]
"""Called now and then while it is built. Raises Lost, and Away."""
type Begin = Callable[[str, Progress, Turn], "Building"]
"""By the generation's name, which is empty, and where to say how far it is."""


class Lost(Exception):
    """Another process projects by now."""


class Interrupted(Exception):
    """A process that built has ended, or says nothing more. What is live is as it was."""


class Building(Protocol):
    """The documents of `generation` hold the log up to `sequence`. After an error it is closed,
    and begun anew if at all. Every method raises Away, Silent, Lost and Interrupted."""

    generation: str
    progress: Progress
    sequence: int

    async def up_to(self, end: int) -> None:
        """Fold what is above `sequence` up to `end`, and store it. Raises Unfoldable, Damaged."""
        ...

    async def complete(self, end: int, live: str | None) -> int:
        """`up_to`, and made ready to be asked by what is indexed. How many documents are not the
        same in the generation that is live, if one is."""
        ...

    async def close(self) -> None:
        """Nothing of it goes on."""
        ...


async def nearly(building: Building, end: Callable[[], Awaitable[int]]) -> None:
    """Until it holds all but a few commits of what there is meanwhile."""
    behind = BATCH
    while behind >= BATCH:
        until = await end()
        behind = until - building.sequence
        await building.up_to(until)


_CATCHES = 20
"""So often what was written meanwhile is caught up with before what is built is made live."""


async def caught_up(
    building: Building, end: int, last_sequence: Callable[[], Awaitable[int]]
) -> int:
    """The sequence up to which it holds the log: `end`, and what stands in the live documents ahead
    of the fold."""
    await building.up_to(end)
    for _ in range(_CATCHES):
        if (end := await last_sequence()) <= building.sequence:
            break
        await building.up_to(end)
    return building.sequence
