"""What all readers of documents share; without HTTP, so that reactions read by it as well."""

from typing import Any

from slipway.eventstore.store import Commit
from slipway.readmodel.model import Away, Document, Documents
from slipway.readmodel.projector import Projector

_BEHIND = 5.0
"""Seconds that a reaction waits for the views."""


async def everything(
    documents: Documents, collection: str, where: dict[str, Any]
) -> list[Document]:
    """All documents, page by page; for what is bounded by an environment or a project."""
    found: list[Document] = []
    cursor = None
    while True:
        part = await documents.find(collection, where, cursor=cursor, limit=500)
        found += part.items
        if (cursor := part.next) is None:
            return found


async def views_hold(projector: Projector, cause: Commit) -> None:
    """A reaction that looks for what there is must not miss what was there before its cause.
    Raises Away when the views are too far behind."""
    if not await projector.wait_for(cause.sequence, _BEHIND):
        raise Away("the views are behind")
