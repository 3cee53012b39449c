"""Tokens, sessions and memberships that were seen, until anything of them changes: a request
looks them up in memory, and what is revoked here opens nothing from then on."""

from collections.abc import Awaitable, Callable
from typing import Any

from slipway.eventstore.store import Commit
from slipway.readmodel.model import Document, Documents
from slipway.readmodel.projector import Projector

from api_gateway.listener import Listener

_CATEGORIES = {"user", "session", "token", "member"}
_MOST = 10_000


class Credentials(Listener):
    def __init__(self, documents: Documents, projector: Projector) -> None:
        self._documents = documents
        self._projector = projector
        self._progress = projector.progress
        self._found: dict[tuple[str, str], Any] = {}
        self._changes = 0

    def written(self, commit: Commit, document: Document) -> None:
        self.folded(commit)

    def folded(self, commit: Commit) -> None:
        if commit.subject.category in _CATEGORIES:
            self._forget()

    def _forget(self) -> None:
        self._changes += 1
        self._found.clear()

    async def token(self, hash_: str) -> Document | None:
        return await self._seen("token", hash_, lambda: self._one("token", "state.hash", hash_))

    async def session(self, hash_: str) -> Document | None:
        return await self._seen(
            "session", hash_, lambda: self._one("session", "state.token_hash", hash_)
        )

    async def user(self, id_: str) -> Document | None:
        return await self._seen("user", id_, lambda: self._documents.get("user", id_))

    async def roles(self, user: str) -> dict[str, Any]:
        """Organization → the person's role there."""

        async def look() -> dict[str, Any]:
            found: dict[str, Any] = {}
            cursor = None
            while True:
                page = await self._documents.find(
                    "member", {"state.user": user}, cursor=cursor, limit=500
                )
                found |= {member["org"]: member["state"]["role"] for member in page.items}
                if (cursor := page.next) is None:
                    return found

        return await self._seen("roles", user, look)

    async def _one(self, collection: str, field: str, value: str) -> Document | None:
        page = await self._documents.find(collection, {field: value}, limit=1)
        return page.items[0] if page.items else None

    async def _seen[T](self, kind: str, id_: str, look: Callable[[], Awaitable[T]]) -> T:
        """Kept only if nothing changed while it was looked up. Nothing is kept across a rebuild:
        what is folded during one is not announced."""
        progress = self._projector.progress
        if progress is not self._progress:
            self._progress = progress
            self._forget()
        if (kind, id_) in self._found:
            return self._found[kind, id_]
        before = self._changes
        found = await look()
        if found and before == self._changes and progress.status != "running":
            if len(self._found) >= _MOST:
                self._found.clear()
            self._found[kind, id_] = found
        return found
