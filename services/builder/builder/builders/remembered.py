"""With which secrets the steps of an organization's builds ran last, as marks: a file beside the
builds. One that was lost lets them run once more."""

import json
from collections.abc import Mapping
from pathlib import Path

MARKS = "marks"
_MOST = 2000
"""Steps; the oldest go."""


class Remembered:
    def __init__(self, work: Path, organization: str, build: str) -> None:
        self._file = work / MARKS / f"{organization}.json"
        self._build = build

    def differ(self, marks: Mapping[str, str]) -> bool:
        known = self._read()
        return any(known.get(name) != mark for name, mark in marks.items())

    def begin(self, marks: Mapping[str, str]) -> None:
        """However it ends: until it went well, nobody knows what is in the cache."""
        if marks:
            self._write({**self._read(), **dict.fromkeys(marks, self._build)})

    def end(self, marks: Mapping[str, str]) -> None:
        """It went well. Where another build with the same step began meanwhile, either may have
        been the last one to run it: nothing is known."""
        known = self._read()
        whole = {name: mark for name, mark in known.items() if name not in marks}
        whole |= {name: marks[name] for name in marks if known.get(name) == self._build}
        if marks:
            self._write(whole)

    def _read(self) -> dict[str, str]:
        try:
            return json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}

    def _write(self, whole: Mapping[str, str]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(dict(list(whole.items())[-_MOST:])))
        part.replace(self._file)
