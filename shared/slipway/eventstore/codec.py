"""A commit's stored bytes. Canonical JSON (sorted keys), so that its hash can be taken again."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import partial
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


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _decoded(subject: str, sequence: int, stored: Stored) -> Event:
    try:
        return made(stored)
    except ValueError as error:
        raise Damaged(f"sequence {sequence} of {subject} can't be read: {error}") from error


def from_bytes(subject: str, sequence: int, data: bytes) -> Commit:
    """Raises Damaged for bytes that no version of this program has written; an event's own data is
    looked at when it is asked for."""
    try:
        body = orjson.loads(data)
        actor = body["actor"]
        return Recorded(
            subject=Subject.parse(subject),
            head=Head(sequence, body["version"], digest(data)),
            meta=Meta(
                commit=body["commit"],
                at=datetime.fromisoformat(body["at"]),
                actor=Actor(actor["kind"], actor["id"], actor.get("address")),
                correlation=body["correlation"],
                cause=body["cause"],
                request=body["request"],
                traceparent=body.get("traceparent"),
            ),
            stored=tuple(newest(stored) for stored in body["events"]),
            decode=partial(_decoded, subject, sequence),
            prev=body["prev"],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise Damaged(f"sequence {sequence} of {subject} can't be read: {error}") from error


def commit_of(data: bytes) -> str:
    """The commit's id alone."""
    return orjson.loads(data)["commit"]
