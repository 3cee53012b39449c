"""Folds the log into documents: what comes, in small batches; and all of it anew beside what is
live, when the code has changed, somebody asks, or the database is empty."""

import asyncio
import gc
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from slipway.eventstore.store import Commit, EventStore
from slipway.readmodel.model import Away, Document, Documents, Generations, Projection
from slipway.runtime.logging import logger

_BATCH = 500
_NOTED = 1.0
"""Seconds from one checkpoint to the next: what is folded twice after a death changes nothing."""


@dataclass(slots=True)
class Progress:
    """Of the newest rebuild. `differing` counts collections that differ from the former ones
    made by the same code: it should be 0."""

    status: Literal["none", "running", "done", "failed"] = "none"
    folded: int = 0
    of: int = 0
    documents: int = 0
    differing: int = 0
    error: str = ""


class Projector:
    def __init__(
        self,
        store: EventStore,
        documents: Generations,
        projections: Sequence[Projection],
        version: str,
    ) -> None:
        self._store = store
        self._documents = documents
        self.known: Documents = documents
        """What is there is read here. Whoever stores documents ahead of the fold puts something in
        its place that waits for them, so that they are not stored twice."""
        self._projections = projections
        self._version = version
        self._moved = asyncio.Condition()
        self._generation = ""
        self._rebuild_wanted = asyncio.Event()
        self._queue: asyncio.Queue[Commit | None] = asyncio.Queue(4 * _BATCH)
        """What is to be folded; None only wakes."""
        self._log = logger()
        self.sequence = 0
        """Up to here the live documents hold the log."""
        self.caught_up = False
        """Has been at the log's end since the start."""
        self.progress = Progress()
        self.listeners: list[Callable[[Commit], None]] = []
        """Called with each commit after its documents are stored."""

    async def wait_for(self, sequence: int, seconds: float) -> bool:
        """True once the documents hold that sequence; False when they do not in time."""
        if self.sequence >= sequence:
            return True
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(lambda: self.sequence >= sequence)
        except TimeoutError:
            return False
        return True

    async def held(self) -> int:
        """Up to where what is stored holds the log, at least. Raises Away."""
        live = await self._documents.live()
        return await self._documents.checkpoint(live[0]) if live else 0

    def ask_rebuild(self) -> None:
        if self.progress.status != "running":
            self.progress = Progress(status="running")
        self._rebuild_wanted.set()
        if not self._queue.full():
            self._queue.put_nowait(None)

    async def run(self) -> None:
        """For ever. While the database is away the log waits; it is never skipped."""
        while True:
            try:
                live = await self._documents.live()
                if live is None or live[1] != self._version or self._rebuild_wanted.is_set():
                    self._rebuild_wanted.clear()
                    await self._rebuild(live)
                    continue
                self._generation = live[0]
                await self._moved_to(await self._documents.checkpoint(self._generation))
                await self._follow()
            except Away as error:
                self._log.warning("the database is away; trying again", error=str(error)[:200])
                await asyncio.sleep(0.5)

    async def _moved_to(self, sequence: int) -> None:
        async with self._moved:
            self.sequence = sequence
            self._moved.notify_all()

    async def _follow(self) -> None:
        """Until a rebuild is wanted or the live pointer has gone with its database."""
        queue = self._queue = asyncio.Queue(4 * _BATCH)
        end = await self._store.last_sequence()
        self.caught_up = self.caught_up or self.sequence >= end
        checkpoint, noted = self.sequence, time.monotonic()

        async def fill() -> None:
            async for commit in self._store.follow(self.sequence):
                await queue.put(commit)

        filling = asyncio.create_task(fill())
        try:
            while not self._rebuild_wanted.is_set():
                if filling.done():
                    filling.result()
                try:
                    async with asyncio.timeout(2.0):
                        batch = [await queue.get()]
                except TimeoutError:
                    live = await self._documents.live()
                    if live is None or live[0] != self._generation:
                        return
                    batch = []
                while len(batch) < _BATCH and not queue.empty():
                    batch.append(queue.get_nowait())
                if commits := [commit for commit in batch if commit is not None]:
                    await self._fold(commits)
                self.caught_up = self.caught_up or self.sequence >= end
                wanted = time.monotonic() - noted > _NOTED or self._rebuild_wanted.is_set()
                if wanted and self.sequence > checkpoint:
                    await self._documents.set_checkpoint(self._generation, self.sequence)
                    checkpoint, noted = self.sequence, time.monotonic()
        finally:
            filling.cancel()

    async def _fold(self, batch: list[Commit]) -> None:
        for projection in self._projections:
            keyed = [
                (key, commit)
                for commit in batch
                if commit.subject.category in projection.categories
                for key in projection.keys(commit)
            ]
            if not keyed:
                continue
            known = await self.known.get_many(
                projection.collection, list({key for key, _ in keyed})
            )
            changed: dict[str, Document] = {}
            for key, commit in keyed:
                document = changed.get(key) or known.get(key)
                if document is None or document["_seq"] < commit.sequence:
                    changed[key] = _next(projection, document, commit, key)
            await self._documents.put(
                projection.collection, [projection.stored(found) for found in changed.values()]
            )
        for commit in batch:
            self._announce(commit)
        await self._moved_to(batch[-1].sequence)

    def _announce(self, commit: Commit) -> None:
        for listener in self.listeners:
            listener(commit)

    async def _rebuild(self, former: tuple[str, str] | None) -> None:
        progress = self.progress = Progress(status="running")
        self._log.info("rebuilding the read models", version=self._version)
        heard = self.sequence
        gc.disable()  # so much is made and kept that looking for circles takes a third of the time
        try:
            end = await self._build(former, progress)
        except Away:
            progress.status = "failed"
            progress.error = "the database is away"
            raise
        finally:
            gc.enable()  # what was folded has gone with `_build`: there is little to look at
        progress.status = "done"
        # After a start nobody has heard of anything yet, and need not of what was there before.
        async for commit in self._store.read(heard or progress.of, end):
            self._announce(commit)
        self._log.info("read models rebuilt", events=end, documents=progress.documents)

    async def _build(self, former: tuple[str, str] | None, progress: Progress) -> int:
        """Insert into new collections beside the live ones, catch up with what was appended
        meanwhile, compare, flip the pointer, drop; the sequence that they hold."""
        generation = f"g{uuid4().hex[:12]}"
        progress.of = end = await self._store.last_sequence()
        folded: list[dict[str, Document]] = [{} for _ in self._projections]
        await self._fold_into(folded, 0, end, progress)
        await self._documents.create(generation, self._projections)

        async def insert(projection: Projection, documents: dict[str, Document]) -> None:
            found = [projection.stored(document) for document in documents.values()]
            if found:
                await self._documents.insert(generation, projection.collection, found)

        await asyncio.gather(*map(insert, self._projections, folded))
        end = await self._catch_up(generation, folded, end, progress)
        progress.documents = sum(map(len, folded))
        await self._documents.set_checkpoint(generation, end)
        if former is not None and former[1] == self._version:
            progress.differing = await self._differing(former[0], generation, end)
        self.sequence = end  # who waits for more waits until that is folded again
        await self._documents.make_live(generation, self._version)
        await self._documents.drop_others()
        return end

    async def _fold_into(
        self, folded: list[dict[str, Document]], after: int, end: int, progress: Progress
    ) -> list[set[str]]:
        """Fold the commits above `after` up to `end` into the documents of each projection; the
        keys of those that changed."""
        changed: list[set[str]] = [set() for _ in self._projections]
        interested: dict[str, list[tuple[Projection, dict[str, Document], set[str]]]]
        interested = defaultdict(list)
        for row in zip(self._projections, folded, changed, strict=True):
            for category in row[0].categories:
                interested[category].append(row)
        async for commit in self._store.read(after, end):
            for projection, documents, keys in interested.get(commit.subject.category, ()):
                for key in projection.keys(commit):
                    documents[key] = _next(projection, documents.get(key), commit, key)
                    keys.add(key)
            progress.folded = commit.sequence
            if commit.sequence % 200 == 0:
                await asyncio.sleep(0)
        return changed

    async def _catch_up(
        self, generation: str, folded: list[dict[str, Document]], end: int, progress: Progress
    ) -> int:
        """Take up what was appended while the documents were stored, until it is but little; the
        sequence that they hold then."""
        while (now := await self._store.last_sequence()) > end:
            changed = await self._fold_into(folded, end, now, progress)
            for projection, documents, keys in zip(self._projections, folded, changed, strict=True):
                if keys:
                    found = [projection.stored(documents[key]) for key in keys]
                    await self._documents.replace(generation, projection.collection, found)
            few, end = now - end < _BATCH, now
            if few:
                break
        return end

    async def _differing(self, former: str, generation: str, end: int) -> int:
        if await self._documents.checkpoint(former) != end:
            return 0
        names = [projection.collection for projection in self._projections]
        one = await self._documents.digest(former, names)
        two = await self._documents.digest(generation, names)
        return sum(one[name] != two[name] for name in names)


def _next(projection: Projection, document: Document | None, commit: Commit, key: str) -> Document:
    found = projection.fold(document, commit, key)
    found["_id"], found["_seq"] = key, commit.sequence
    return found
