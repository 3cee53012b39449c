"""Folds the log into a generation under construction, in bounded memory: documents that were not
touched for the longest leave for the database, and come back when something happens to them again.
"""

import asyncio
import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

import orjson

from slipway.eventstore.store import Commit, EventStore
from slipway.readmodel.building import Turn
from slipway.readmodel.holding import Held, Holding, Place
from slipway.readmodel.model import Document, Generations, Progress, Projection, next_document

BUDGET = 24 << 20
"""Bytes of documents that are held, as they are stored; as models they take some times that."""
_AWAITED = 8 << 20
"""Bytes that are read back at once, at most."""
_SMALL = 1 << 10
_LARGE = 16 << 10
_LARGEST = 512 << 10
_TURN = 100
"""Commits between two turns of others."""


class Seen:
    """A set of which only the size is kept small (a Bloom filter of 8 MiB, of which only what was
    written takes memory): what was added is in it, and with a million added so is one of a thousand
    others."""

    _MASK = (1 << 26) - 1

    def __init__(self) -> None:
        self._bits = mmap(-1, 1 << 23, flags=MAP_PRIVATE | MAP_ANONYMOUS)

    def add(self, place: Place) -> None:
        for bit in self._places(place):
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, place: Place) -> bool:
        return all(self._bits[bit >> 3] & 1 << (bit & 7) for bit in self._places(place))

    def _places(self, place: Place) -> tuple[int, int]:
        hashed = hash(place)
        return hashed & self._MASK, (hashed >> 30) & self._MASK


def _bytes(stored: Document) -> int:
    return len(orjson.dumps(stored, default=str))


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Much is made and kept for a while, and hardly any of it in circles: looking for them as often
    as usual takes a fifth of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class Rebuild:
    """A `Building` in this process, of some projections or all."""

    def __init__(
        self,
        store: EventStore,
        documents: Generations,
        projections: Sequence[Projection],
        generation: str,
        progress: Progress,
        turn: Turn,
        budget: int = BUDGET,
    ) -> None:
        self._store, self._documents, self._projections = store, documents, projections
        self._at_turns, self._budget = turn, budget
        self.generation, self.progress = generation, progress
        self.sequence = 0
        self._interested: defaultdict[str, list[tuple[int, Projection]]] = defaultdict(list)
        for number, projection in enumerate(projections):
            for category in projection.categories:
                self._interested[category].append((number, projection))
        self._held = Holding()
        self._stored, self._large = Seen(), Seen()
        self._awaited: dict[Place, list[Commit]] = {}
        """What happened to documents that are to be read back first."""
        self._awaited_size = 0
        self._storing: asyncio.Task[None] | None = None

    async def up_to(self, end: int) -> None:
        self.progress.of = max(self.progress.of, end)
        with _seldom_collected():
            async for batch in self._store.batches(self.sequence, end, self._interested):
                await self._take_all(batch.commits)
                self.progress.folded = self.sequence = batch.end
                await self._turn()
            await self._read_back()
            while self._held:
                await self._let_go(max(0, self._held.size - self._budget // 8))
                await self._turn()
            await self._stored_so_far()

    async def complete(self, end: int, live: str | None) -> int:
        await self.up_to(end)
        await self._documents.index(self.generation, self._projections)
        if live is None:
            return 0
        names = [projection.collection for projection in self._projections]
        return await self._documents.differing(live, self.generation, names, self.sequence)

    async def close(self) -> None:
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.gather(self._storing, return_exceptions=True)

    async def _turn(self) -> None:
        await self._at_turns()
        await asyncio.sleep(0)

    async def _take_all(self, commits: Iterable[Commit]) -> None:
        for number, commit in enumerate(commits, 1):
            self._take(commit)
            if self._awaited_size > _AWAITED:
                await self._read_back()
            if self._held.size > self._budget:
                await self._let_go(self._budget * 7 // 8)
            if number % _TURN == 0:
                await self._turn()

    def _take(self, commit: Commit) -> None:
        for number, projection in self._interested[commit.subject.category]:
            for key in projection.keys(commit):
                self._change((number, key), projection, commit)

    def _change(self, place: Place, projection: Projection, commit: Commit) -> None:
        held = self._held.get(place)
        if held is not None:
            self._fold(place, projection, held, commit)
        elif (awaited := self._awaited.get(place)) is not None:
            awaited.append(commit)
            self._awaited_size += len(commit.data)
        elif place not in self._stored:
            self._fold(place, projection, None, commit)
        elif projection.alone(commit):
            self._fold(place, projection, None, commit, there=True)
        else:
            self._awaited[place] = [commit]
            self._awaited_size += len(commit.data)
            self._awaited_size += _LARGEST if place in self._large else _LARGE

    def _fold(
        self,
        place: Place,
        projection: Projection,
        held: Held | None,
        commit: Commit,
        *,
        there: bool = False,
    ) -> None:
        if held is None:
            document = next_document(projection, None, commit, place[1])
            size = len(commit.data) if projection.models else _bytes(document)
            self._held.add(place, Held(document, size, size, there))
            return
        held.document = next_document(projection, held.document, commit, place[1])
        size = held.size + len(commit.data)
        # What is folded often need not grow by what is folded: look at times.
        if not projection.models or size > 2 * held.measured + _SMALL:
            size = held.measured = _bytes(projection.stored(held.document))
        self._held.touch(place, held, size)

    async def _read_back(self) -> None:
        awaited, self._awaited, self._awaited_size = self._awaited, {}, 0
        if not awaited:
            return
        await self._stored_so_far()
        ids: defaultdict[int, list[str]] = defaultdict(list)
        for number, key in awaited:
            ids[number].append(key)

        async def read(number: int) -> None:
            collection = self._projections[number].collection
            for document, size in await self._documents.read(
                self.generation, collection, ids[number]
            ):
                self._held.add((number, document["_id"]), Held(document, size, size, there=True))

        await asyncio.gather(*map(read, ids))
        for place, commits in awaited.items():
            for commit in commits:
                self._fold(place, self._projections[place[0]], self._held.get(place), commit)

    async def _let_go(self, most: int) -> None:
        """Of the least touched until so many bytes are held; they are stored in the background."""
        await self._stored_so_far()
        new: list[list[Document]] = [[] for _ in self._projections]
        newer: list[list[Document]] = [[] for _ in self._projections]
        while self._held and self._held.size > most:
            place, held = self._held.leave()
            number, _ = place
            (newer if held.there else new)[number].append(
                self._projections[number].stored(held.document)
            )
            self.progress.documents += not held.there
            self._stored.add(place)
            if held.size > _LARGE:
                self._large.add(place)
        self._storing = asyncio.create_task(self._put(new, newer))

    async def _put(self, new: list[list[Document]], newer: list[list[Document]]) -> None:
        for projection, inserted, replaced in zip(self._projections, new, newer, strict=True):
            if inserted:
                await self._documents.insert(self.generation, projection.collection, inserted)
            if replaced:
                self.progress.documents += await self._documents.replace(
                    self.generation, projection.collection, replaced
                )

    async def _stored_so_far(self) -> None:
        if self._storing is not None:
            storing, self._storing = self._storing, None
            await storing
