"""The fold of all hosts, kept up to date: it is read from the log by every process for itself."""

from collections.abc import Callable

from slipway.contracts.host import ALL, Bound, Hosts
from slipway.eventstore.store import Commit, EventStore


class HostTable:
    """`changed` is told the service whose domains are others now."""

    def __init__(self, store: EventStore, changed: Callable[[str], None]) -> None:
        self._store, self._changed = store, changed
        self._hosts, self._end = Hosts(), 0

    def of(self, service: str) -> tuple[Bound, ...]:
        return self._hosts.of(service)

    async def begin(self) -> None:
        """All that is there now."""
        self._end = await self._store.last_sequence()
        async for commit in self._store.read(0, self._end, ALL):
            self._fold(commit)

    async def follow(self) -> None:
        """For ever."""
        async for commit in self._store.follow(self._end, ALL):
            self._fold(commit)

    def _fold(self, commit: Commit) -> None:
        for event in commit.events:
            service = self._hosts.evolve(event)
            if service is not None:
                self._changed(service)
