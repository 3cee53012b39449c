"""BuildKit's progress (`--progress rawjson`: one status a line) into lines and steps. Pure."""

import base64
import codecs
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from slipway.contracts.clipping import shown
from slipway.contracts.logs import LogLine
from slipway.contracts.values import Step

_LONGEST = 16_000
"""Characters that are kept of a line. More than what is shown of it, which is cut only after the
secrets have been taken out."""
_WORDS = 100
"""Lines that are kept of the program's own words."""
_LINES = 40
"""Lines that are kept of a step which runs, in case it fails."""
_KEPT = 4 << 20
"""Characters that are kept of all steps together, for the same."""
_STEPS = 1000
"""That are kept of a build. A Dockerfile's parser may be anybody's, and name steps without end."""


def _utc(text: str) -> str:
    """RFC 3339 with nanoseconds → milliseconds, UTC."""
    head, _, tail = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(f"{head}.{(tail or '0')[:6].ljust(6, '0')}").replace(tzinfo=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class _Vertex:
    name: str
    started: str | None = None
    ended: str | None = None
    cached: bool = False
    error: str = ""
    rest: str = ""
    letters: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )
    announced: bool = False
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Progress:
    """Feed it lines of the program's output; it gives log lines, and knows the steps. `redacted`
    takes the secrets out of their names, which are shown in many places."""

    redacted: Callable[[str], str] = shown
    vertices: dict[str, _Vertex] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    """What was no status: the program's own words, such as the final error."""
    kept: int = 0
    """Characters of lines, at most."""

    def clear(self) -> None:
        """It begins anew: what failed before has no say."""
        self.vertices.clear()
        self.text.clear()

    def feed(self, line: str, now: str) -> list[LogLine]:
        try:
            status = json.loads(line)
        except ValueError:
            status = None
        if not isinstance(status, dict):
            self.text.append(line[:_LONGEST])
            del self.text[:-_WORDS]
            return []
        out: list[LogLine] = []
        for given in status.get("vertexes") or ():
            out += self._vertex(given, now)
        for given in status.get("logs") or ():
            out += self._log(given)
        return out

    def _of(self, digest: str, name: str) -> _Vertex | None:
        """None for one of too many."""
        if digest not in self.vertices and len(self.vertices) < _STEPS:
            self.vertices[digest] = _Vertex(self.redacted(name[:_LONGEST]))
        return self.vertices.get(digest)

    def _vertex(self, given: dict[str, object], now: str) -> list[LogLine]:
        vertex = self._of(str(given["digest"]), str(given.get("name", "")))
        if vertex is None:
            return []
        if given.get("started") and vertex.started is None:  # BuildKit may begin it anew
            vertex.started = _utc(str(given["started"]))
        vertex.cached = bool(given.get("cached")) or vertex.cached
        vertex.error = str(given.get("error") or vertex.error)[-_LONGEST:]
        done = given.get("completed")
        out = []
        quiet = vertex.name.startswith("[internal]")
        if vertex.started and not vertex.announced and not quiet:
            vertex.announced = True
            out.append(LogLine(at=now, stream="system", step=vertex.name, text=vertex.name))
        first = vertex.ended is None
        if done:
            vertex.ended = _utc(str(done))
        if done and first:
            if vertex.rest:
                out.append(LogLine(at=now, step=vertex.name, text=vertex.rest))
                vertex.lines.append(vertex.rest)
                vertex.rest = ""
            if not vertex.error:
                vertex.lines.clear()
            if vertex.cached and not quiet:
                out.append(
                    LogLine(at=now, stream="system", step=vertex.name, text="taken from the cache")
                )
        return out

    def _log(self, given: dict[str, object]) -> list[LogLine]:
        vertex = self._of(str(given["vertex"]), "")
        if vertex is None:
            return []
        data = vertex.letters.decode(base64.b64decode(str(given.get("data") or "")))
        *whole, rest = (vertex.rest + data).split("\n")
        vertex.rest = rest[:_LONGEST]
        whole = [line[:_LONGEST] for line in whole]
        at = _utc(str(given["timestamp"]))
        stream = "stderr" if given.get("stream") == 2 else "stdout"
        vertex.lines += whole
        del vertex.lines[:-_LINES]
        self._bound(vertex, sum(map(len, whole)))
        return [
            LogLine(at=at, stream=stream, step=vertex.name, text=line.rstrip("\r"))
            for line in whole
        ]

    def _bound(self, newest: _Vertex, more: int) -> None:
        """The others' lines go where there are too many of all."""
        self.kept += more
        if self.kept <= _KEPT:
            return
        self.kept = sum(len(line) for each in self.vertices.values() for line in each.lines)
        if self.kept > _KEPT:
            for each in self.vertices.values():
                if each is not newest:
                    each.lines.clear()
            self.kept = sum(map(len, newest.lines))

    def steps(self) -> tuple[Step, ...]:
        return tuple(
            Step(name=vertex.name, started=vertex.started, ended=vertex.ended, cached=vertex.cached)
            for vertex in sorted(self.vertices.values(), key=lambda vertex: vertex.started or "")
            if vertex.started and not vertex.name.startswith("[internal]")
        )

    def failed(self) -> tuple[str, str, list[str]] | None:
        """(step, its error, its last lines) of the step that failed first."""
        for vertex in self.vertices.values():
            if vertex.error and "context canceled" not in vertex.error:
                rest = [vertex.rest] if vertex.rest else []
                return vertex.name, vertex.error, [*vertex.lines, *rest][-20:]
        return None
