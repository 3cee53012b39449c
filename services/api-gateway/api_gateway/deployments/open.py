"""Which deployments have not ended: a fold of the log in memory, so that what takes whose place and
whose time is over is decided without the views."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentExpired,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    DeploymentSuperseded,
)
from slipway.eventstore.store import Commit, EventStore
from slipway.readmodel.model import Away, Document, Documents
from slipway.readmodel.projector import Projector

_PATTERN = "evt.*.deployment.*"
ENDS = (
    DeploymentSucceeded,
    DeploymentFailed,
    DeploymentCancelled,
    DeploymentSuperseded,
    DeploymentExpired,
)


@dataclass(frozen=True, slots=True)
class Open:
    """`sequence` is that of its request."""

    organization: str
    service: str
    id: str
    sequence: int


class OpenDeployments:
    """Reads what the log has beyond what it knows whenever it is asked; nothing runs beside it. It
    begins with what the views call open, up to where they hold the log; where they can't be asked,
    with the beginning of the log."""

    def __init__(self, store: EventStore, documents: Documents, projector: Projector) -> None:
        self._store, self._documents, self._projector = store, documents, projector
        self._open: dict[str, Open] = {}
        self._of: dict[str, set[str]] = {}
        self._sequence: int | None = None
        self._lock = asyncio.Lock()

    async def of(self, service: str) -> list[Open]:
        """Of one service, in the order of their requests, as the log is now."""
        await self._catch_up()
        return self._sorted(self._of.get(service, ()))

    async def everywhere(self) -> list[Open]:
        await self._catch_up()
        return self._sorted(self._open)

    def _sorted(self, ids: Iterable[str]) -> list[Open]:
        return sorted((self._open[id_] for id_ in ids), key=lambda found: found.sequence)

    async def _catch_up(self) -> None:
        async with self._lock:
            if self._sequence is None:
                self._sequence = await self._begin()
            async for commit in self._store.read(self._sequence, None, _PATTERN):
                self._fold(commit)
                self._sequence = commit.sequence

    async def _begin(self) -> int:
        """The sequence from which on the log is read; what began before it is taken up."""
        try:
            held = await self._projector.held()
            cursor = None
            while True:
                page = await self._documents.find(
                    "deployment", {"state.phase": "open"}, cursor=cursor, limit=500
                )
                for document in page.items:
                    self._add(_of_document(document))
                if (cursor := page.next) is None:
                    return held
        except Away:
            return 0  # what was taken up so far is folded again, its end too

    def _fold(self, commit: Commit) -> None:
        subject = commit.subject
        for event in commit.events:
            match event:
                case DeploymentRequested():
                    found = Open(subject.organization, event.service, subject.id, commit.sequence)
                    self._add(found)
                case _ if isinstance(event, ENDS):
                    self._remove(subject.id)
                case _:
                    pass

    def _add(self, found: Open) -> None:
        self._open[found.id] = found
        self._of.setdefault(found.service, set()).add(found.id)

    def _remove(self, id_: str) -> None:
        found = self._open.pop(id_, None)
        if found is not None:
            self._of[found.service].discard(id_)
            if not self._of[found.service]:
                del self._of[found.service]


def _of_document(document: Document) -> Open:
    state = document["state"]
    return Open(document["org"], state["service"], document["_id"], document["first"])
