"""Deliveries that were given up, each a message which says why; they can be asked for again."""

from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, Protocol

import orjson

from slipway.eventstore.stream import Message, Stream, WrongLastSequence
from slipway.kernel.clock import Clock
from slipway.runtime.logging import logger

type State = Literal["dead", "again", "done"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The delivery of one commit to one durable.

    `dead`: given up. `again`: somebody asked that it is handled once more. `done`: it was, or its
    failure is a fact. `error` is for operators only: it may name what belongs to a tenant."""

    durable: str
    sequence: int
    """Of the commit, in EVENTS."""
    subject: str
    error: str
    attempts: int
    """Failed ones, of all times it was handled."""
    state: State = "dead"
    at: str = ""
    """When it came into this state (ISO 8601, UTC); given by the store."""
    revision: int = 0
    """What a change of it expects; 0: not stored yet."""


class Changed(Exception):
    """The letter is not what it was when it was read, or there is none: read it again."""


class DeadLetters(Protocol):
    async def list(self) -> list[DeadLetter]:
        """All there are, of every durable and state."""
        ...

    async def put(self, letter: DeadLetter) -> DeadLetter:
        """Write it in place of its `revision`, and return it as stored. Raises Changed."""
        ...

    def follow(self, durable: str) -> AsyncGenerator[DeadLetter]:
        """Those of one durable, from the beginning, and what becomes of them, until cancelled."""
        ...


async def ask_again(letters: DeadLetters, letter: DeadLetter) -> DeadLetter:
    """Have its service handle it once more. Raises Changed, also where it is not `dead`."""
    if letter.state != "dead":
        raise Changed(f"the dead letter {letter.sequence} of {letter.durable} is {letter.state}")
    return await letters.put(replace(letter, state="again"))


class StreamDeadLetters:
    """`dead.<durable>.<sequence of the commit>`; the last message of a subject is the letter."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self._stream, self._clock = stream, clock

    async def list(self) -> list[DeadLetter]:
        found = [_letter(message) async for message in self._stream.read(0, None, "dead.>")]
        return [letter for letter in found if letter is not None]

    async def put(self, letter: DeadLetter) -> DeadLetter:
        at = self._clock.now().isoformat(timespec="seconds")
        subject = f"dead.{letter.durable}.{letter.sequence}"
        data = orjson.dumps(asdict(replace(letter, at=at)))
        try:
            stored = await self._stream.publish(subject, data, expected=letter.revision)
        except WrongLastSequence:
            raise Changed(f"{subject} is not at revision {letter.revision}") from None
        return replace(letter, at=at, revision=stored.sequence)

    async def follow(self, durable: str) -> AsyncGenerator[DeadLetter]:
        async for message in self._stream.follow(0, f"dead.{durable}.*"):
            letter = _letter(message)
            if letter is not None:
                yield letter


def _letter(message: Message) -> DeadLetter | None:
    """One that can't be read must not end whoever follows them."""
    try:
        data = orjson.loads(message.data)
        known = {field.name: data[field.name] for field in fields(DeadLetter)}
    except (ValueError, TypeError, KeyError):
        logger().error("a dead letter can't be read", subject=message.subject)
        return None
    return DeadLetter(**{**known, "revision": message.sequence})
