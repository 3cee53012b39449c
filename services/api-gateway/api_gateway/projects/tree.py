"""Each organization's projects with their environments and services, kept in memory as they are
shown, so that listing them is putting bytes together.

A tree is loaded from the documents when it is first asked for. What this process writes is put
into it at once; what others write is read again when the log has announced it.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import orjson
from slipway.contracts.desired import wanted_replicas
from slipway.eventstore.store import Commit, EventStore
from slipway.readmodel import cursor as cursors
from slipway.readmodel.model import Document, Documents
from slipway.readmodel.projector import Progress, Projector
from slipway.runtime.logging import logger

from api_gateway.listener import Listener

_MOST = 100
_AT_ONCE = 500
_STALE = 1000
"""Of so many parts that were changed by others and not asked for since all is loaded anew: what is
made and deleted without anybody looking would else be remembered for ever."""
_KINDS = ("project", "environment", "service", "rollout")
_THERE = ["active", "deleting"]


@dataclass(slots=True)
class _Part:
    sequence: int
    version: int
    created_at: str
    updated_at: str
    state: dict[str, Any]


def _can_be_shown(kind: str, document: Document) -> bool:
    """Not what has gone, nor what was made by a newer release in a way that is not understood."""
    state = document["state"]
    understood = state["phase"] in _THERE and (kind != "service" or state["settings"] is not None)
    if not understood and state["phase"] != "deleted":
        logger().warning("left out: a newer release made it", what=kind, id=document["_id"])
    return understood


def _part(kind: str, document: Document) -> _Part:
    """Only what is shown in the tree: a service's document has much more."""
    state = document["state"]
    match kind:
        case "service":
            wanted = ("phase", "project", "environment", "name", "kind", "replicas", "stopped")
            settings = state["settings"]
            replicas = sum(wanted_replicas(settings, state["replicas"]).values())
            state = {**state, "kind": settings["kind"], "replicas": replicas}
        case "rollout":
            state, wanted = {"runs": Runs.of(state)}, ("runs",)
        case _:
            wanted = ("phase", "project", "name")
    return _Part(
        sequence=document["_seq"],
        version=document["version"],
        created_at=document.get("created_at", ""),
        updated_at=document["updated_at"],
        state={name: state[name] for name in wanted if name in state},
    )


class Runs(Enum):
    """What a service's rollout says."""

    NOTHING = "nothing"
    STOPPED = "stopped"
    SERVING = "serving"

    @classmethod
    def of(cls, rollout: dict[str, Any]) -> "Runs":
        if not rollout.get("serving"):
            return cls.NOTHING
        replicas = rollout.get("replicas")  # by workload
        idle = rollout.get("stopped") or (replicas and not any(replicas.values()))
        return cls.STOPPED if idle else cls.SERVING


type ServiceStatus = Literal["running", "not deployed", "stopped", "deleting"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which services are asked for; None fits all."""

    project: str | None = None
    environment: str | None = None
    kind: str | None = None
    name: str | None = None
    status: ServiceStatus | None = None

    def fits(self, state: dict[str, Any]) -> bool:
        asked = (self.project, self.environment, self.kind, self.name)
        has = (state["project"], state["environment"], state["kind"], state["name"])
        return all(one in (None, other) for one, other in zip(asked, has, strict=True))


@dataclass(slots=True)
class Tree:
    progress: Progress | None
    """The rebuild that came before; None when it was made during one."""
    loaded: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    stale: set[tuple[str, str]] = field(default_factory=set)
    """(kind, id) of what the log has newer."""
    _parts: dict[str, dict[str, _Part]] = field(default_factory=lambda: {k: {} for k in _KINDS})
    _inside: dict[str, set[str]] = field(default_factory=dict)
    """Project → environments, environment → services."""
    _order: list[tuple[str, str]] = field(default_factory=list)
    _rendered: dict[str, bytes] = field(default_factory=dict)

    def sequence_of(self, kind: str, id_: str) -> int:
        """The sequence up to which that part is here."""
        part = self._parts[kind].get(id_)
        return part.sequence if part else 0

    def put(self, kind: str, document: Document) -> None:
        id_ = document["_id"]
        if self.sequence_of(kind, id_) >= document["_seq"]:
            return
        if kind == "rollout":
            self._put_rollout(id_, _part(kind, document))
            return
        if not _can_be_shown(kind, document):
            self._forget(kind, id_)
            return
        part = _part(kind, document)
        self._parts[kind][id_] = part
        match kind:
            case "project":
                self._insert((part.created_at, id_))
            case "environment":
                self._inside.setdefault(part.state["project"], set()).add(id_)
            case _:
                self._inside.setdefault(part.state["environment"], set()).add(id_)
        self._rendered.pop(part.state.get("project", id_), None)

    def _put_rollout(self, id_: str, part: _Part) -> None:
        """One of a service that is not here belongs to one that is gone."""
        if (service := self._parts["service"].get(id_)) is not None:
            self._parts["rollout"][id_] = part
            self._rendered.pop(service.state["project"], None)

    def _forget(self, kind: str, id_: str) -> None:
        """An older document may bring it back, until the log's announcement has it read again."""
        part = self._parts[kind].pop(id_, None)
        if part is None:
            return
        self._inside.pop(id_, None)
        parent = part.state.get("environment") or part.state.get("project")
        self._inside.get(parent or "", set()).discard(id_)
        self._parts["rollout"].pop(id_, None)
        self._rendered.pop(part.state.get("project", id_), None)
        if kind == "project":
            self._order.remove((part.created_at, id_))

    def _insert(self, project: tuple[str, str]) -> None:
        at = bisect_left(self._order, project)
        if self._order[at : at + 1] != [project]:
            self._order.insert(at, project)

    def page(self, after: tuple[str, str] | None, limit: int) -> tuple[list[bytes], str | None]:
        """Projects as JSON, oldest first, and the cursor of the next page."""
        start = bisect_right(self._order, after) if after is not None else 0
        projects = self._order[start : start + limit]
        more = len(self._order) > start + limit
        next_ = cursors.encode(*projects[-1]) if projects and more else None
        return [self._json(id_) for _, id_ in projects], next_

    def _json(self, id_: str) -> bytes:
        found = self._rendered.get(id_)
        if found is None:
            found = self._rendered[id_] = orjson.dumps(self.project(id_))
        return found

    def _there(self, kind: str, id_: str) -> _Part | None:
        part = self._parts[kind].get(id_)
        return part if part is not None and part.state["phase"] in _THERE else None

    def service_ids(self) -> list[str]:
        return list(self._parts["service"])

    def version(self, kind: str, id_: str) -> int:
        return self._parts[kind][id_].version

    def project(self, id_: str) -> dict[str, Any] | None:
        """With its environments and their services; None when it is not there."""
        part = self._there("project", id_)
        if part is None:
            return None
        environments = sorted(
            (environment.created_at, inner)
            for inner in self._inside.get(id_, ())
            if (environment := self._there("environment", inner)) is not None
        )
        return {
            "id": id_,
            "name": part.state["name"],
            "status": part.state["phase"],
            "created_at": part.created_at,
            "updated_at": part.updated_at,
            "environments": [self.environment(inner) for _, inner in environments],
        }

    def environment(self, id_: str) -> dict[str, Any] | None:
        part = self._there("environment", id_)
        if part is None:
            return None
        services = sorted(
            (service.created_at, inner)
            for inner in self._inside.get(id_, ())
            if (service := self._there("service", inner)) is not None
        )
        return {
            "id": id_,
            "name": part.state["name"],
            "project": part.state["project"],
            "status": part.state["phase"],
            "created_at": part.created_at,
            "services": [self._service(inner) for _, inner in services],
        }

    def _service(self, id_: str) -> dict[str, Any]:
        state = self._parts["service"][id_].state
        return {
            "id": id_,
            "kind": state["kind"],
            "name": state["name"],
            "status": self._status(id_),
            "replicas": state["replicas"],
        }

    def _status(self, id_: str) -> ServiceStatus:
        rollout = self._parts["rollout"].get(id_)
        runs = rollout.state["runs"] if rollout else Runs.NOTHING
        return service_status(self._parts["service"][id_].state, runs)

    def services(
        self, wanted: Wanted, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[str], str | None]:
        """Ids of the services that fit, oldest first, and the cursor of the next page."""
        found = sorted(
            (part.created_at, id_)
            for id_, part in self._parts["service"].items()
            if part.state["phase"] in _THERE
            and wanted.fits(part.state)
            and wanted.status in (None, self._status(id_))
        )
        start = bisect_right(found, after) if after is not None else 0
        part = found[start : start + limit]
        more = len(found) > start + limit
        return [id_ for _, id_ in part], cursors.encode(*part[-1]) if more else None


def service_status(state: dict[str, Any], runs: Runs) -> ServiceStatus:
    """Stopped is also what is started again by a deployment that has not come so far."""
    if state["phase"] == "deleting":
        return "deleting"
    if state["stopped"] or runs is Runs.STOPPED:
        return "stopped"
    return "running" if runs is Runs.SERVING else "not deployed"


class Trees(Listener):
    def __init__(self, _store: EventStore, documents: Documents, projector: Projector) -> None:
        self._documents = documents
        self._projector = projector
        self._trees: OrderedDict[str, Tree] = OrderedDict()
        self._written = 0
        """The highest sequence that was written here."""

    def folded(self, commit: Commit) -> None:
        kind, id_ = commit.subject.category, commit.subject.id
        tree = self._trees.get(commit.subject.organization)
        if tree is not None and kind in _KINDS and tree.sequence_of(kind, id_) < commit.sequence:
            tree.stale.add((kind, id_))
            if len(tree.stale) > _STALE:
                del self._trees[commit.subject.organization]

    def written(self, commit: Commit, document: Document) -> None:
        kind = commit.subject.category
        if kind not in _KINDS:
            return
        self._written = max(self._written, document["_seq"])
        if (tree := self._trees.get(commit.subject.organization)) is not None:
            tree.put(kind, document)

    async def of(self, organization: str) -> Tree:
        """As new as the documents, and with everything that was written here."""
        tree = self._trees.get(organization)
        if tree is None or self._rebuilt_since(tree):
            progress = self._projector.progress
            between = progress if progress.status != "running" else None
            tree = self._trees[organization] = Tree(between)
            if len(self._trees) > _MOST:
                self._trees.popitem(last=False)
        else:
            self._trees.move_to_end(organization)
        if tree.stale or not tree.loaded:
            async with tree.lock:
                await self._refresh(tree, organization)
        return tree

    def _rebuilt_since(self, tree: Tree) -> bool:
        """What was folded during a rebuild has not been announced, so all is read again."""
        progress = self._projector.progress
        return tree.progress is not progress and progress.status != "running"

    async def _refresh(self, tree: Tree, organization: str) -> None:
        if not tree.loaded:
            await self._projector.wait_for(self._written, 2.0)
            for kind in ("project", "environment", "service"):
                await self._load(tree, kind, organization)
            await self._load_rollouts(tree)
            tree.loaded = True
        while tree.stale:
            stale, tree.stale = tree.stale, set()
            try:
                for kind in _KINDS:
                    ids = [id_ for of, id_ in stale if of == kind]
                    for document in (await self._documents.get_many(kind, ids)).values():
                        tree.put(kind, document)
            except BaseException:
                tree.stale |= stale
                raise

    async def _load(self, tree: Tree, kind: str, organization: str) -> None:
        where = {"org": organization, "state.phase": _THERE}
        cursor = None
        while True:
            page = await self._documents.find(kind, where, cursor=cursor, limit=_AT_ONCE)
            for document in page.items:
                tree.put(kind, document)
            if (cursor := page.next) is None:
                return

    async def _load_rollouts(self, tree: Tree) -> None:
        """Of the services that are there: those of gone ones are many after some years."""
        services = tree.service_ids()
        for start in range(0, len(services), _AT_ONCE):
            ids = services[start : start + _AT_ONCE]
            for document in (await self._documents.get_many("rollout", ids)).values():
                tree.put("rollout", document)
