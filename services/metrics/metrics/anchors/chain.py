"""The hash chain over the log, and its anchors. Pure.

    h(0) = 32 zero bytes
    h(n) = SHA-256(h(n-1) || n as 8 bytes, big endian || subject || SHA-256(body))

An anchor says what h is at a sequence. Who has an anchor can tell whether the log up to there is
still the same, to the byte. An anchor is a line of JSON: {"at", "hash", "sequence"}, `hash` in
hex. They are not signed yet: they stand outside the log's own storage and show what happens to
that, not what somebody does who can write both.
"""

import hashlib
from typing import NamedTuple

import orjson

START = bytes(32)


class Entry(NamedTuple):
    """One message of the log; `digest` is its body's SHA-256, 32 bytes."""

    sequence: int
    subject: str
    digest: bytes


class Anchor(NamedTuple):
    sequence: int
    hash: str
    at: str
    """ISO 8601, UTC."""

    def line(self) -> bytes:
        return orjson.dumps(self._asdict(), option=orjson.OPT_SORT_KEYS)


class Damage(Exception):
    """The log, or the record of its anchors, is not what it was. The text is for people."""


def parse(line: bytes) -> Anchor:
    """Raises Damage."""
    try:
        read = orjson.loads(line)
        return Anchor(int(read["sequence"]), str(read["hash"]), str(read["at"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Damage(f"a line of the anchors' file is none: {line[:80]!r}") from error


class Chain:
    def __init__(self) -> None:
        self.sequence = 0
        self._hash = START

    @property
    def hash(self) -> str:
        return self._hash.hex()

    def add(self, entry: Entry) -> None:
        """Raises Damage on a gap."""
        if entry.sequence != self.sequence + 1:
            raise Damage(
                f"the log has lost something: sequence {self.sequence} is followed by "
                f"{entry.sequence}"
            )
        number = entry.sequence.to_bytes(8)
        linked = self._hash + number + entry.subject.encode() + entry.digest
        self._hash = hashlib.sha256(linked).digest()
        self.sequence = entry.sequence

    def check(self, anchor: Anchor) -> None:
        """Raises Damage when the log up to here is another than the anchored one."""
        if self.hash != anchor.hash:
            raise Damage(
                f"the log was changed at or before sequence {anchor.sequence}: its hash there was "
                f"{anchor.hash} on {anchor.at} and is {self.hash} now"
            )


def shortened(end: int, sequence: int) -> Damage:
    return Damage(f"the log ends at sequence {end}, but it has reached {sequence} before")
