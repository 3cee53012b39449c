"""The documents that a rebuild holds, and which of them leaves first."""

from collections import OrderedDict
from dataclasses import dataclass

from slipway.readmodel.model import Document

type Place = tuple[int, str]
"""Number of the projection, id of the document."""


@dataclass(slots=True)
class Held:
    document: Document
    size: int
    """In bytes; one that holds models has at most what it had when it was last measured, and all
    that was folded into it since."""
    measured: int
    there: bool
    """An older one of it is in the database."""


class Holding:
    """What was not touched for the longest leaves first. But what came back once will come back
    again: it leaves after what never did, unless that is three quarters of all. So a stream of
    large documents that are soon at their end does not drive out what is touched for ever."""

    def __init__(self) -> None:
        self._new: OrderedDict[Place, Held] = OrderedDict()
        self._returned: OrderedDict[Place, Held] = OrderedDict()
        self.size = self._returned_size = 0

    def __len__(self) -> int:
        return len(self._new) + len(self._returned)

    def get(self, place: Place) -> Held | None:
        return self._new.get(place) or self._returned.get(place)

    def add(self, place: Place, held: Held) -> None:
        (self._returned if held.there else self._new)[place] = held
        self._grow(held, held.size)

    def touch(self, place: Place, held: Held, size: int) -> None:
        """It has another size now."""
        (self._returned if held.there else self._new).move_to_end(place)
        self._grow(held, size - held.size)
        held.size = size

    def leave(self) -> tuple[Place, Held]:
        """The next one. Raises KeyError when nothing is held."""
        few = 4 * self._returned_size <= 3 * self.size
        place, held = (self._new if self._new and few else self._returned or self._new).popitem(
            last=False
        )
        self._grow(held, -held.size)
        return place, held

    def _grow(self, held: Held, by: int) -> None:
        self.size += by
        if held.there:
            self._returned_size += by
