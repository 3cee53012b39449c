"""Files of the anchors' volume. What these return from is on the disk."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class StateFile:
    """One small value, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one = threading.Lock()

    def load(self) -> bytes | None:
        return self._path.read_bytes() if self._path.is_file() else None

    def save(self, data: bytes) -> None:
        part = self._path.with_name(f".{self._path.name}.part")
        with self._one:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.rename(self._path)
            _sync_folder(self._path.parent)


class LineFile:
    """Lines that are only ever added. One that a crash left half written is none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> Iterator[bytes]:
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line.removesuffix(b"\n")

    def last(self) -> bytes | None:
        found = None
        for line in self.lines():
            found = line
        return found

    def append(self, line: bytes) -> None:
        new = not self._path.exists()
        with self._path.open("ab+") as file:
            if (end := file.tell()) > 0:
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    self._cut_half_line(end)
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            _sync_folder(self._path.parent)

    def _cut_half_line(self, end: int) -> None:
        data = self._path.read_bytes()
        os.truncate(self._path, data.rfind(b"\n", 0, end) + 1)
