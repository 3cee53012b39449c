"""Folds the log into documents: what comes, in small batches; and all of it anew beside what is
live, when the code has changed, somebody asks, or the database is empty.

Of several processes the one that holds the lease writes. The others follow the log as well, and
take a commit for shown when the checkpoint stored with the documents says that they hold it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore, OutcomeUnknown
from slipway.eventstore.stream import Silent
from slipway.readmodel.building import APART, Begin, Building, Interrupted, Lost, caught_up, nearly
from slipway.readmodel.model import (
    Away,
    Document,
    Documents,
    Generations,
    Progress,
    Projection,
    Standing,
    Unfoldable,
    next_document,
)
from slipway.readmodel.rebuild import Rebuild
from slipway.readmodel.tail import AHEAD, BATCH, Tail
from slipway.runtime.logging import logger

_NOTED = 0.05
"""Seconds between checkpoints: what is folded twice changes nothing, but the others wait for it."""
_LOOK = 2.0
"""Seconds from one look at what is noted beside the documents to the next, while nothing comes."""
_KEPT = 10.0
"""Seconds that a former generation is kept: the others read of it until they have looked."""
_BEGUN = 3
"""A rebuild that was begun so often and never ended is given up: it may be what ended it."""
_SAID = 1.0
"""Seconds from one word about a rebuild's progress to the others to the next."""
_DEFECT = 60.0
"""Seconds until it is tried again to fold what can't be folded from the log's beginning either."""
_LOG_AWAY = (Silent, OutcomeUnknown)


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class _Term:
    """What the holder of the lease keeps in mind as long as one generation is live. Times are the
    loop's."""

    standing: Standing
    generation: str
    checkpoint: int
    looked: float
    dropping: float
    noted: float = 0.0
    building: asyncio.Task[Building | None] | None = None


class Projector:
    """`lease`: None where there is no other gateway. `apart`: by processes of their own."""

    def __init__(
        self,
        store: EventStore,
        documents: Generations,
        projections: Sequence[Projection],
        version: str,
        lease: Lease | None = None,
        apart: Begin | None = None,
    ) -> None:
        self._store = store
        self._documents = documents
        self.known: Documents = documents
        """What is there is read here. Whoever stores documents ahead of the fold puts something in
        its place that waits for them, so that they are not stored twice."""
        self._projections = projections
        self._version = version
        self._lease = lease
        self._apart = apart
        self._interrupted = 0
        """How often processes that built ended before their work."""
        self._building: Building | None = None
        self._moved = asyncio.Condition()
        self._asking = False
        self._unfoldable = False
        """What is live can't be folded on: it is not of this code, whatever is noted beside it."""
        self._tail: Tail | None = None
        self._log = logger()
        self.sequence = 0
        """Up to here the live documents hold the log, and the listeners have heard of it."""
        self.caught_up = False
        """Has been at the log's end since the start, with documents of this code."""
        self.progress = Progress()
        """Another object after each rebuild."""
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

    async def _shown(self) -> int:
        return self.sequence

    async def held(self) -> int:
        """Up to where what is stored holds the log, at least. Raises Away."""
        return (await self._documents.standing()).checkpoint

    def ask_rebuild(self) -> None:
        """Whoever holds the lease does it, also when this process dies."""
        if self.progress.status != "running":
            self.progress = Progress(status="running")
        self._asking = True
        if self._tail is not None:
            self._tail.wake()

    @property
    def leads(self) -> bool:
        """This process writes."""
        return self._lease is None or self._lease.held

    async def run(self) -> None:
        """For ever. While the database or the log is away the other waits; nothing is skipped.
        Raises Damaged."""
        acquiring = asyncio.create_task(self._lease.acquire()) if self._lease else None
        try:
            while True:
                try:
                    if acquiring is not None and acquiring.done():
                        acquiring.result()
                    await self._turn()
                except Away as error:
                    self._log.warning("the database is away; trying again", error=str(error)[:200])
                    await asyncio.sleep(0.5)
                except _LOG_AWAY as error:
                    self._log.warning("the log is away; trying again", error=str(error)[:200])
                    await asyncio.sleep(0.5)
                except Lost:
                    self._log.warning("another process projects by now")
                except Interrupted as error:
                    self._interrupted += 1
                    self._log.warning("a rebuild was interrupted; trying again", error=str(error))
                    await asyncio.sleep(0.5)
                except Unfoldable as error:
                    await self._spoilt(error)
        finally:
            if acquiring is not None and self._lease is not None:
                acquiring.cancel()
                await self._lease.release()

    async def _turn(self) -> None:
        """As what this process is now, until it is another."""
        standing = await self._documents.standing()
        same = standing.version == self._version
        self._documents.adopt(standing.generation, writable=same)
        try:
            if not self.leads:
                await self._attend(standing)
            elif same and not self._unfoldable:
                await self._lead(standing)
            else:
                await self._build_first()
        finally:
            building, self._building = self._building, None
            if building is not None:
                await building.close()

    async def _spoilt(self, error: Unfoldable) -> None:
        """All is built anew. Where that fails as well it is a defect: what is live stays to be
        read, and this process goes on with all else that it does."""
        self._log.error("a document can't be folded; building all anew", exc_info=error)
        if self._unfoldable:
            await asyncio.sleep(_DEFECT)
        self._unfoldable = True

    async def _moved_to(self, sequence: int) -> None:
        async with self._moved:
            self.sequence = sequence
            self._moved.notify_all()

    def _announce(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            for listener in self.listeners:
                listener(commit)

    async def _ask(self) -> None:
        if self._asking:
            await self._documents.ask_rebuild()
            self._asking = False

    # -- without the lease ------------------------------------------------------------------------

    async def _attend(self, standing: Standing) -> None:
        """Until the lease is here."""
        if standing.generation is None:
            await asyncio.sleep(_LOOK / 4)
            return
        end = await self._store.last_sequence()
        await self._moved_to(self.sequence or standing.checkpoint)
        heard: deque[Commit] = deque()
        async with self._following(self.sequence) as tail:
            while not self.leads:
                if len(heard) < BATCH and sum(len(commit.data) for commit in heard) < AHEAD:
                    heard.extend(await tail.batch(_NOTED if heard else _LOOK / 4))
                else:
                    await asyncio.sleep(_NOTED)
                standing = await self._looked(standing)
                shown: list[Commit] = []
                while heard and heard[0].sequence <= standing.checkpoint:
                    shown.append(heard.popleft())
                self._announce(shown)
                if shown:
                    await self._moved_to(shown[-1].sequence)
                same = standing.version == self._version
                self.caught_up = self.caught_up or (same and self.sequence >= end)

    async def _looked(self, before: Standing) -> Standing:
        await self._ask()
        standing = await self._documents.standing()
        if standing.generation != before.generation:
            same = standing.version == self._version
            self._documents.adopt(standing.generation, writable=same)
            self.progress = replace(standing.progress)
        elif standing.progress != self.progress and not self._asking:
            self.progress = standing.progress
        return standing

    # -- with the lease ---------------------------------------------------------------------------

    def _following(self, after: int) -> Tail:
        self._tail = Tail(self._store, after)
        return self._tail

    async def _lead(self, standing: Standing) -> None:
        """Until a rebuild has ended, or the lease or the live generation has gone."""
        await self._take_over(standing)
        end = await self._store.last_sequence()
        term = _Term(standing, standing.generation or "", self.sequence, _now(), _now() + _KEPT)
        try:
            async with self._following(self.sequence) as tail:
                while self.leads and term.standing.generation == term.generation:
                    self.caught_up = self.caught_up or self.sequence >= end
                    if await self._rebuilt(term):
                        return
                    soon = term.building is not None or self.sequence > term.checkpoint
                    if commits := await tail.batch(_NOTED if soon else _LOOK):
                        await self._fold(commits)
                    await self._note(term)
        finally:
            if term.building is not None:
                term.building.cancel()
                await asyncio.gather(term.building, return_exceptions=True)

    async def _rebuilt(self, term: _Term) -> bool:
        """What was asked for is begun, and ended."""
        if term.building is None:
            if term.standing.asked:
                term.building = asyncio.create_task(self._build_beside(term.generation))
        elif term.building.done():
            if (rebuild := term.building.result()) is not None:
                await self._finish(rebuild, self.sequence)
            return True
        return False

    async def _note(self, term: _Term) -> None:
        """What is due: the checkpoint, a look at what the others noted, the end of what was live
        before."""
        if self.sequence > term.checkpoint and _now() - term.noted >= _NOTED:
            await self._documents.set_checkpoint(term.generation, self.sequence)
            term.checkpoint, term.noted = self.sequence, _now()
        if self._asking or _now() - term.looked >= _LOOK:
            await self._ask()
            term.standing, term.looked = await self._documents.standing(), _now()
        if term.dropping and _now() > term.dropping:
            await self._documents.drop_others()
            term.dropping = 0.0

    async def _take_over(self, standing: Standing) -> None:
        """What another wrote is announced here too. After a start nobody has heard of anything
        yet, and need not of what was there before."""
        if self.sequence:
            async for commit in self._store.read(self.sequence, standing.checkpoint):
                self._announce([commit])
        if self.progress.status == "running" and not standing.asked:
            self.progress = replace(standing.progress)
        await self._moved_to(standing.checkpoint)

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
                    changed[key] = next_document(projection, document, commit, key)
            await self._documents.put(
                projection.collection, [projection.stored(found) for found in changed.values()]
            )
        self._announce(batch)
        await self._moved_to(batch[-1].sequence)

    # -- building anew ----------------------------------------------------------------------------

    async def _begin(self, end: int) -> Building:
        """`end`: how long the log is. Where processes end again and again, this one does it."""
        self._log.info("rebuilding the read models", version=self._version)
        self.progress = progress = Progress(status="running")
        generation = await self._documents.create()
        said = 0.0

        async def turn() -> None:
            nonlocal said
            if not self.leads:
                raise Lost
            if _now() - said > _SAID:
                said = _now()
                await self._documents.note_rebuild(generation, progress)

        if self._apart is not None and end >= APART and self._interrupted < _BEGUN:
            self._building = self._apart(generation, progress, turn)
        else:
            self._building = Rebuild(
                self._store, self._documents, self._projections, generation, progress, turn
            )
        return self._building

    async def _build_first(self) -> None:
        """There are no documents of this code: nothing is followed until there are, and nothing
        is begun while the log is away."""
        rebuild = await self._begin(await self._store.last_sequence())
        try:
            await rebuild.complete(await self._store.last_sequence(), None)
            await nearly(rebuild, self._store.last_sequence)
            await self._finish(rebuild, rebuild.sequence)
        except (Away, *_LOG_AWAY) as error:
            what = "database" if isinstance(error, Away) else "event log"
            self.progress.status, self.progress.error = "failed", f"the {what} is away"
            raise
        except Unfoldable as error:
            self.progress.status, self.progress.error = "failed", f"{error}; the former views stay"
            await self._documents.note_rebuild(rebuild.generation, self.progress)
            await self._documents.drop_others()
            raise
        self._unfoldable = False

    async def _build_beside(self, live: str) -> Building | None:
        """While the live documents are followed, until it has nearly what they have. None when it
        failed: those stay."""
        rebuild = await self._begin(self.sequence)
        progress = rebuild.progress
        try:
            if await self._documents.begin_rebuild() > _BEGUN:
                raise RuntimeError(f"{_BEGUN} times something interrupted it before its end")
            progress.differing = await rebuild.complete(self.sequence, live)
            await nearly(rebuild, self._shown)
        except (Away, Lost, Interrupted, *_LOG_AWAY):
            raise
        except Exception as error:
            self._log.exception("the read models could not be rebuilt")
            progress.status, progress.error = "failed", f"{error!r}; the former views stay"
            await self._documents.note_rebuild(rebuild.generation, progress)
            return None
        return rebuild

    async def _finish(self, rebuild: Building, end: int) -> None:
        """Catch up with what was folded meanwhile, and flip the pointer."""
        end = await caught_up(rebuild, end, self._store.last_sequence)
        await self._documents.set_checkpoint(rebuild.generation, end)
        done = replace(rebuild.progress, status="done")
        if not await self._documents.make_live(rebuild.generation, self._version, done):
            raise Lost
        self._documents.adopt(rebuild.generation, writable=True)
        self.progress, self._interrupted = done, 0
        self._log.info("read models rebuilt", events=end, documents=done.documents)
