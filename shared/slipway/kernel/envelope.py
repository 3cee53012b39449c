"""What is stored: one commit of 1..n events of one aggregate, in one message."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
INSTALLATION = "_"
"""The organization of what stands above organizations."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One aggregate, one writer: `evt.<organization>.<category>.<id>`."""

    organization: str
    category: str
    id: str

    def __post_init__(self) -> None:
        for token in (self.organization, self.category, self.id):
            if not _TOKEN.fullmatch(token):
                raise ValueError(f"not a subject token: {token!r}")

    def __str__(self) -> str:
        return f"evt.{self.organization}.{self.category}.{self.id}"

    @classmethod
    @lru_cache(maxsize=10_000)
    def parse(cls, text: str) -> "Subject":
        prefix, organization, category, id_ = text.split(".")
        if prefix != "evt":
            raise ValueError(f"not an event subject: {text!r}")
        return cls(organization, category, id_)


class Actor(NamedTuple):
    """Who wanted it. `service` for what the platform does of itself."""

    kind: Literal["user", "token", "service", "webhook", "setup"]
    id: str
    address: str | None = None


class Meta(NamedTuple):
    """The circumstances of a commit, given by whoever appends.

    `commit` is derived from the cause (see `ids.commit_id`), so that appending twice is
    appending once. `correlation` is the id of the deployment or request that all of it is about.
    """

    commit: str
    at: datetime
    actor: Actor
    correlation: str
    cause: str | None = None
    request: str | None = None
    traceparent: str | None = None


class Head(NamedTuple):
    """Where an aggregate ends: the stream sequence of its last commit, its version (number of
    commits), and the SHA-256 of that commit's bytes. `NOTHING` where there is none."""

    sequence: int
    version: int
    hash: str


NOTHING = Head(0, 0, "")


class Stored(NamedTuple):
    """An event's data as it is stored, in the shape of the newest version."""

    type: str
    data: dict[str, Any]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(slots=True)
class Recorded[E]:
    """A commit as it stands in the log; never changed. What costs more than reading is made when
    it is asked for: a fold over the whole log asks for little."""

    subject: Subject
    sequence: int
    version: int
    meta: Meta
    stored: tuple[Stored, ...]
    prev: str
    """The hash of the aggregate's commit before this one."""
    data: bytes = field(repr=False)
    """Its bytes."""
    decode: Callable[["Recorded[E]", Stored], E] = field(repr=False, compare=False)
    _events: tuple[E, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def events(self) -> tuple[E, ...]:
        if self._events is None:
            self._events = tuple(self.decode(self, stored) for stored in self.stored)
        return self._events

    @property
    def head(self) -> Head:
        return Head(self.sequence, self.version, digest(self.data))

    def event_id(self, index: int) -> str:
        return f"{self.sequence}.{index}"
