"""Secrets out of what programs print. Pure."""

import base64
import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from slipway.contracts.clipping import shown

MASK = "***"
LEAST = 6
"""Characters: what is shorter is in many a word, and hides nothing from who may try them all."""
_HEAD = 32
"""Characters of a long value after which it is known, though the rest was cut off."""
_ASSIGNED = re.compile(r"\s*(?:export\s+)?[\w.-]+\s*=\s*(.+)")
_BESIDE = 250
"""Bytes of memory for each part, beside its characters."""


class Redactor:
    """Replaces these values in a text of any number of lines, as they are, in JSON, in URLs and in
    base64; what is assigned in a line of one, as in a file of variables, also by itself. A value of
    several lines is masked line by line, as a log shows it. Of what could be masked at one place it
    is the longest. What it gives is `shown` already: a colour amid a secret does not hide it.

    How long it takes goes with the text, however many secrets there are: at most 27 lengths are
    looked up at each character."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in _parts(secret) if len(part) >= LEAST}
        self._heads = {part[:_HEAD] for part in parts}
        self._long = sorted(part for part in parts if len(part) > _HEAD)
        lengths: dict[str, set[int]] = {}
        for head in self._heads:
            lengths.setdefault(head[:LEAST], set()).add(len(head))
        self._lengths = {
            begin: tuple(sorted(found, reverse=True)) for begin, found in lengths.items()
        }
        self.size = sum(len(part) + _BESIDE for part in parts)
        """Bytes of memory, about."""

    def __call__(self, text: str) -> str:
        masked = self._masked(text)
        visible = shown(masked)
        return visible if visible == masked else self._masked(visible)

    def _masked(self, text: str) -> str:
        lengths, kept, done, at = self._lengths, list[str](), 0, 0
        if not lengths:
            return text
        last = len(text) - LEAST
        while at <= last:
            if text[at : at + LEAST] in lengths and (end := self._end(text, at)):
                kept += (text[done:at], MASK)
                done = at = end
            else:
                at += 1
        return "".join((*kept, text[done:]))

    def _end(self, text: str, at: int) -> int:
        """Of the secret that begins there; 0: none does."""
        for length in self._lengths[text[at : at + LEAST]]:
            if (head := text[at : at + length]) in self._heads:
                return at + max(len(head), self._agreeing(text, at) if length == _HEAD else 0)
        return 0

    def _agreeing(self, text: str, at: int) -> int:
        """How many characters from there are those of a long value: one of its neighbours in the
        order of the alphabet agrees the longest."""
        line_end = text.find("\n", at)
        rest = text[at : line_end if line_end >= 0 else len(text)]
        place = bisect(self._long, rest)
        near = self._long[max(0, place - 1) : place + 1]
        return max((_common(part, rest) for part in near), default=0)


def _common(one: str, other: str) -> int:
    """Characters from the beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _parts(secret: str) -> Iterator[str]:
    yield from _base64(secret.strip())
    for line in map(str.strip, secret.splitlines()):
        yield from _written(line)
        if assigned := _ASSIGNED.fullmatch(line):
            yield from _written(assigned[1].strip("\"'"))


def _written(value: str) -> tuple[str, ...]:
    inside = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    urls = (quote(value, safe=safe) for safe in ("", "/", "!'()*"))
    return (value, *inside, *urls, quote_plus(value))


def _base64(value: str) -> Iterator[str]:
    """The digits that are those of the value alone, wherever it begins in what was encoded."""
    data = value.encode(errors="replace")
    for before in range(3):
        digits = base64.b64encode(bytes(before) + data)
        whole = digits[(0, 2, 3)[before] : (before + len(data)) * 8 // 6].decode()
        yield whole
        yield whole.replace("+", "-").replace("/", "_")
