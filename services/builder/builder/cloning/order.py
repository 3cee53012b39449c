"""What is to be cloned, and what may come of it: values of the builder and of the program that
clones. Pure; builds on nothing, so that the program starts quickly."""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

LONGEST_ORDER = 64 * 1024
"""Bytes."""
_LABEL = re.compile(r"[^\s/\\@:]{1,63}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, files and seconds; `silence`: seconds in which nothing moves; `speed`: bytes a second
    that a server sends at least."""

    size: int = 4 << 30
    """Of all that a clone writes, its history with it."""
    files: int = 500_000
    path: int = 2000
    """Bytes of a file's path in the repository."""
    depth: int = 200
    """Folders in one another."""
    seconds: float = 900.0
    silence: float = 60.0
    speed: int = 20


@dataclass(frozen=True, slots=True)
class Order:
    """One of `branch`, `tag` and `commit`; without any it is what the server calls its HEAD.
    `history`: all of it, with its tags and `.git`; else the files of the commit alone."""

    url: str
    branch: str | None = None
    tag: str | None = None
    commit: str | None = None
    history: bool = False
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> bytes:
        """One line."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @staticmethod
    def from_json(line: str) -> "Order":
        known = json.loads(line)
        return Order(**{**known, "limits": Limits(**known["limits"])})

    @property
    def wanted(self) -> str:
        """In words."""
        for what, name in (("branch", self.branch), ("tag", self.tag), ("commit", self.commit)):
            if name is not None:
                return f"{what} {name}"
        return "the default branch"


@dataclass(frozen=True, slots=True)
class Cloned:
    """`branch` None where it is none."""

    hash: str
    author: str = ""
    message: str = ""
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class NotCloned:
    """`why`: `git`, `submodules` (it said why in `output`), `silent`, `slow`, `size`, `files`,
    `path`, `memory`, `disk`, `guard`, `ended`. `there`: branches or tags that exist, where the one
    that is wanted does not."""

    why: str
    output: str = ""
    there: tuple[str, ...] = ()


def told(line: str) -> Cloned | NotCloned | str | None:
    """What a line of the program says: the outcome, or how far it came; None for anything else.
    Whoever wrote it may lie: it is bounded, and of the right types."""
    try:
        said: Any = json.loads(line)
        match said:
            case {"progress": str(text)}:
                return text[:500]
            case {"cloned": {"hash": str(hash_), **more}} if _COMMIT.fullmatch(hash_):
                branch = more.get("branch")
                return Cloned(
                    hash_,
                    str(more.get("author", ""))[:400],
                    str(more.get("message", ""))[:2000],
                    branch[:1000] if isinstance(branch, str) else None,
                )
            case {"failed": {"why": str(why), "output": str(output), "there": [*there]}}:
                names = tuple(str(name)[:300] for name in there[:50])
                return NotCloned(why[:50], output[: 256 * 1024], names)
            case _:
                return None
    except (ValueError, RecursionError):
        return None


def refused(url: str) -> str | None:
    """Why it is not cloned from, whoever stored it; None where nothing speaks against it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "the address has no name or port that can exist"
    if parts.scheme not in ("http", "https"):
        return "it is no http or https address"
    if "@" in parts.netloc:
        return "it holds credentials"
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        return "it holds blanks or control characters"
    labels = host.removesuffix(".").split(".")
    if port == 0 or (":" not in host and not all(map(_LABEL.fullmatch, labels))):
        return "the address has no name or port that can exist"
    return None
