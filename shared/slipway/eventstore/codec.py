"""A commit's stored bytes. Canonical JSON (sorted keys), so that its hash can be taken again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from slipway.contracts.event import Event, encode, made, newest
from slipway.eventstore.store import Commit, Damaged, TooLarge
from slipway.kernel.envelope import Actor, Head, Meta, Recorded, Stored, Subject

LIMIT = 512 * 1024
_ENVELOPE = 1


def to_bytes(expected: Head, events: Sequence[Event], meta: Meta) -> bytes:
    """Raises TooLarge above 512 KiB."""
    actor: dict[str, Any] = {"kind": meta.actor.kind, "id": meta.actor.id}
    if meta.actor.address:
        actor["address"] = meta.actor.address
    body = {
        "v": _ENVELOPE,
        "commit": meta.commit,
        "version": expected.version + 1,
        "at": meta.at.isoformat(),
        "actor": actor,
        "correlation": meta.correlation,
        "cause": meta.cause,
        "request": meta.request,
        "traceparent": meta.traceparent,
        "prev": expected.hash,
        "events": [encode(event) for event in events],
    }
    data = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    if len(data) > LIMIT:
        raise TooLarge(f"a commit of {len(data)} bytes; at most {LIMIT}")
    return data


def _decoded(commit: Commit, stored: Stored) -> Event:
    try:
        return made(stored)
    except ValueError as error:
        raise _damaged(str(commit.subject), commit.sequence, error) from error


def _damaged(subject: str, sequence: int, error: Exception) -> Damaged:
    return Damaged(f"sequence {sequence} of {subject} can't be read: {error}")


def from_bytes(subject: str, sequence: int, data: bytes) -> Commit:
    """Raises Damaged for bytes that no version of this program has written; an event's own data is
    looked at when it is asked for."""
    try:
        body = orjson.loads(data)
        actor = body["actor"]
        meta = Meta(
            body["commit"],
            datetime.fromisoformat(body["at"]),
            Actor(actor["kind"], actor["id"], actor.get("address")),
            body["correlation"],
            body["cause"],
            body["request"],
            body.get("traceparent"),
        )
        stored = tuple([newest(event) for event in body["events"]])
        return Recorded(
            Subject.parse(subject), sequence, body["version"], meta, stored, body["prev"],
            data, _decoded,
        )  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(subject, sequence, error) from error


def commit_of(data: bytes) -> str:
    """The commit's id alone."""
    return orjson.loads(data)["commit"]
