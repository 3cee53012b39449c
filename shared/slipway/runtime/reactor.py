"""The reaction loop: deliveries in, serial by key, parallel across keys, settled afterwards."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from slipway.eventstore.dead_letters import Changed, DeadLetter, DeadLetters
from slipway.eventstore.store import Commit, Damaged, EventStore, Settle
from slipway.runtime import retry
from slipway.runtime.logging import logger

type KeyOf = Callable[[Commit], str | None]
type Handle = Callable[[Commit], Awaitable[None]]
type Dead = Callable[[Commit, Exception], Awaitable[None]]

_HEARTBEAT = 10.0
_LONGEST_ERROR = 1000
_HELD = 16 << 20
"""Bytes of commits that are held while they wait; of what comes above, only where it stands."""


class NoFact(Exception):
    """Raised by a `dead` which has no fact to write for this commit."""


@dataclass(frozen=True, slots=True)
class _Work:
    """`commit`: None where it is read again when its turn comes."""

    sequence: int
    subject: str
    settle: Settle
    commit: Commit | None


async def dead_letter(_commit: Commit, _error: Exception) -> None:
    """The `dead` of a reaction whose failure no event tells: the commit becomes a dead letter."""
    raise NoFact


class Reactor:
    """Feeds one durable's deliveries to `handle`.

    `key` names the unit of serial work (a service's id); None means not interested, and is
    acknowledged at once. Deliveries of one key are handled one after another in the order they
    came, different keys side by side, at most `parallel` at a time. A delivery is acknowledged
    after `handle` returned, which has appended its outcome by then.

    No delivery is tried for ever. After the errors of `retry.REACTION`, `dead(commit, error)`
    appends the fact that says so (`build.failed`, ...), under a commit id derived from the commit,
    as it may be called again. What has no such fact passes `dead_letter`, or raises NoFact for
    some commits. Where it raised NoFact, or failed as often as `retry.OUTCOME` says, a dead letter
    is put into `letters`. A letter that is asked for again is handled once more in the same way,
    behind what waits under its key; that is noticed by following the letters from their beginning,
    so a death forgets none.
    """

    def __init__(
        self,
        store: EventStore,
        durable: str,
        key: KeyOf,
        handle: Handle,
        *,
        dead: Dead,
        letters: DeadLetters,
        parallel: int = 64,
    ) -> None:
        self._store = store
        self._durable = durable
        self._key = key
        self._handle = handle
        self._dead = dead
        self._letters = letters
        self._slots = asyncio.Semaphore(parallel)
        self._queues: dict[str, deque[_Work]] = {}
        self._held = 0
        self._log = logger(durable=durable)

    async def run(self) -> None:
        """Until cancelled. What is being handled is cancelled with it and comes again later."""
        async with (
            self._store.reaction(self._durable) as reaction,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._asked_again(group), name=f"{self._durable}:letters")
            async for delivery in reaction.deliveries():
                key = self._key_of(delivery.commit)
                if key is None:
                    await self._settle(delivery.settle, delivery.commit.sequence)
                else:
                    self._take(group, key, delivery.commit, delivery.settle)

    def _key_of(self, commit: Commit) -> str | None:
        """A commit that `key` can't read is its handler's to fail at: there it is counted."""
        try:
            return self._key(commit)
        except Exception:
            self._log.exception("no key", subject=str(commit.subject), sequence=commit.sequence)
            return str(commit.subject)

    def _take(self, group: asyncio.TaskGroup, key: str, commit: Commit, settle: Settle) -> None:
        held = self._held + len(commit.data) <= _HELD
        self._held += len(commit.data) if held else 0
        work = _Work(commit.sequence, str(commit.subject), settle, commit if held else None)
        if key in self._queues:
            self._queues[key].append(work)
        else:
            self._queues[key] = deque([work])
            group.create_task(self._work(key), name=f"{self._durable}:{key}")

    async def _asked_again(self, group: asyncio.TaskGroup) -> None:
        async for letter in self._letters.follow(self._durable):
            if letter.state == "again":
                commit = await self._commit_of(letter)
                if commit is not None:
                    key = self._key_of(commit) or str(commit.subject)
                    self._take(group, key, commit, _Letter(self._letters, letter))

    async def _commit_of(self, letter: DeadLetter) -> Commit | None:
        try:
            commit = await retry.OUTCOME.run(lambda: self._store.at(letter.sequence))
            if commit is not None:
                return commit
            error = "the log has no commit at this sequence"
        except Exception as problem:
            error = _clipped(problem)
        await self._put(replace(letter, state="dead", error=error))
        return None

    async def _work(self, key: str) -> None:
        queue = self._queues[key]
        heartbeat = asyncio.create_task(self._keep_alive(queue))
        try:
            while queue:
                await self._one(queue[0])
                if (commit := queue.popleft().commit) is not None:
                    self._held -= len(commit.data)
        finally:
            heartbeat.cancel()
            del self._queues[key]

    async def _commit(self, work: _Work) -> Commit:
        commit = work.commit or await self._store.at(work.sequence)
        if commit is None:
            raise Damaged(f"the log has no commit at sequence {work.sequence}")
        return commit

    async def _one(self, work: _Work) -> None:
        failed = 0

        async def handle() -> None:
            try:
                async with self._slots:  # not while it waits to be tried again: others go on
                    await self._handle(await self._commit(work))
            except Exception:
                # While the log is away nothing can be handled: however long, it is one error.
                await retry.CONNECT.run(self._store.last_sequence)
                raise

        def said(attempt: int, error: BaseException) -> None:
            nonlocal failed
            failed = attempt
            self._say("reaction failed", work, attempt, error)

        try:
            await retry.REACTION.run(handle, said=said)
        except Exception as error:
            if not await self._told(work, error):
                await self._bury(work, error, failed)
                return
        await self._settle(work.settle, work.sequence)

    async def _told(self, work: _Work, error: Exception) -> bool:
        """Whether a fact says that it was given up."""

        async def tell() -> bool:
            try:
                await self._dead(await self._commit(work), error)
            except NoFact:
                return False
            return True

        def said(attempt: int, problem: BaseException) -> None:
            self._say("giving up failed", work, attempt, problem)

        try:
            return await retry.OUTCOME.run(tell, said=said)
        except Exception:
            return False

    async def _bury(self, work: _Work, error: Exception, failed: int) -> None:
        """Into the dead letters; the delivery is over when it is there."""
        letter = (
            work.settle.letter
            if isinstance(work.settle, _Letter)
            else DeadLetter(self._durable, work.sequence, work.subject, "", 0)
        )
        said, attempts = _clipped(error), letter.attempts + failed
        if await self._put(replace(letter, state="dead", error=said, attempts=attempts)):
            self._log.error("dead letter", subject=letter.subject, sequence=letter.sequence)
            if not isinstance(work.settle, _Letter):
                await self._settle(work.settle, work.sequence)

    async def _put(self, letter: DeadLetter) -> bool:
        """False where that is not possible: not acknowledged, it comes again, or at the next
        start. A letter that is there already says the same."""
        try:
            await retry.OUTCOME.run(lambda: _written(self._letters, letter))
        except Exception:
            self._log.exception("no dead letter can be written", sequence=letter.sequence)
            return False
        return True

    async def _settle(self, settle: Settle, sequence: int) -> None:
        """What can't be acknowledged comes again, and must not end what is done for others."""
        try:
            await settle.ack()
        except Exception:
            self._log.exception("not acknowledged", sequence=sequence)

    def _say(self, what: str, work: _Work, attempt: int, error: BaseException) -> None:
        self._log.error(
            what, subject=work.subject, sequence=work.sequence, attempt=attempt, exc_info=error
        )

    async def _keep_alive(self, queue: deque[_Work]) -> None:
        """Waiting work is kept alive here: the server must not hand it to anybody else."""
        while True:
            await asyncio.sleep(_HEARTBEAT)
            for work in tuple(queue):
                try:
                    await work.settle.in_progress()
                except Exception:
                    self._log.exception("not kept alive", sequence=work.sequence)


class _Letter:
    """Settles a dead letter that is handled once more."""

    def __init__(self, letters: DeadLetters, letter: DeadLetter) -> None:
        self._letters, self.letter = letters, letter

    async def ack(self) -> None:
        await _written(self._letters, replace(self.letter, state="done"))

    async def in_progress(self) -> None:
        pass


async def _written(letters: DeadLetters, letter: DeadLetter) -> None:
    with contextlib.suppress(Changed):  # another life of this service was here
        await letters.put(letter)


def _clipped(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]} …"
