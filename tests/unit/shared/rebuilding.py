"""A process that builds a part of what is in a small log of its own, for `test_processes`:
`python -m tests.unit.shared.rebuilding WHAT GENERATION`."""

import asyncio
import sys
from collections.abc import Sequence

from slipway.eventstore.store import Commit, Damaged
from slipway.eventstore.stream import Silent
from slipway.readmodel import part
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Away, Document, Progress
from slipway.readmodel.rebuild import Rebuild

from tests.unit.shared.test_rebuild import Last, Names, history

EVENTS, PROJECTS = 60, 12
ERRORS = {
    "away": Away("no database"),
    "silent": Silent("no log"),
    "damaged": Damaged("sequence 7"),
    "full": OSError("no room"),
}


class Stopping(MemoryDocuments):
    """Stores for a minute, or says what is wrong."""

    async def insert(self, generation: str, collection: str, documents: Sequence[Document]) -> None:
        if error := ERRORS.get(sys.argv[1]):
            raise error
        await asyncio.sleep(60)


class Defect(Names):
    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        raise KeyError("bad")


async def opened() -> Rebuild:
    what, generation = sys.argv[1:]
    sys.stdout.write("this goes to the log\n")  # at once: `print` says the line's end by itself
    projection = {"last": Last(), "defect": Defect()}.get(what, Names())
    documents = Stopping() if what in ("slow", *ERRORS) else MemoryDocuments()
    documents._data = {generation: {projection.collection: {}}, "live": {projection.collection: {}}}
    store = await history(EVENTS, PROJECTS)
    return Rebuild(store, documents, [projection], generation, Progress(), part.anyway)


if __name__ == "__main__":
    part.run(opened)
