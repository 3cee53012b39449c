"""What builds a generation anew: this process (`rebuild.Rebuild`), or some of its own
(`processes.Processes`)."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from slipway.readmodel.model import Progress

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

    async def differing(self, live: str) -> int:
        """How many documents are not the same in the generation that is live."""
        ...

    async def close(self) -> None:
        """Nothing of it goes on."""
        ...
