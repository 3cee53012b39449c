"""A folder as a stream of bytes, and back. Whoever writes it may mean harm: what is read is
bounded, and nothing lands outside of the folder.

An entry is its kind (`d` folder, `f` file, `x` file that can be run, `l` link, `e` the end), the
length of its path (2 bytes), the path, the size (8 bytes), and as many bytes: a file's content, or
where a link leads.
"""

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from builder.cloning.order import Limits

_HEAD = struct.Struct(">cH")
_SIZE = struct.Struct(">Q")
_CHUNK = 1 << 20
_LONGEST_LINK = 4096
_LONGEST_NAME = 255
_FOLDERS = 64 << 20
"""Bytes of all folders' paths, which are kept until the end."""


class BadStream(Exception):
    """It is no folder, or ended before its end."""


class TooMuch(Exception):
    """`what`: `size`, `files` or `path`."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def write(folder: Path, to: BinaryIO, without: str | None) -> None:
    """`without`: a name of which nothing is written, wherever it stands."""
    for kind, path, file in _found(folder, without):
        raw = os.fsencode(path)
        if kind == b"d":
            to.write(_head(kind, raw, 0))
        elif kind == b"l":
            target = os.fsencode(file.readlink())
            to.write(_head(kind, raw, len(target)) + target)
        else:
            with file.open("rb") as opened:
                left = os.fstat(opened.fileno()).st_size
                to.write(_head(kind, raw, left))
                while left and (data := opened.read(min(left, _CHUNK))):
                    to.write(data)
                    left -= len(data)
    to.write(_head(b"e", b"", 0))
    to.flush()


def _head(kind: bytes, path: bytes, size: int) -> bytes:
    return _HEAD.pack(kind, len(path)) + path + _SIZE.pack(size)


def _found(folder: Path, without: str | None) -> Iterator[tuple[bytes, str, Path]]:
    """(kind, path, file), folders before what is in them."""
    waiting = [""]
    while waiting:
        base = waiting.pop()
        for entry in sorted(os.scandir(folder / base), key=lambda entry: entry.name):
            path = f"{base}/{entry.name}" if base else entry.name
            mode = entry.stat(follow_symlinks=False).st_mode
            if entry.name == without:
                continue
            if stat.S_ISLNK(mode):
                yield b"l", path, Path(entry.path)
            elif stat.S_ISDIR(mode):
                waiting.append(path)
                yield b"d", path, Path(entry.path)
            elif stat.S_ISREG(mode):
                yield b"x" if mode & 0o100 else b"f", path, Path(entry.path)


def read(source: BinaryIO, folder: Path, limits: Limits) -> None:
    """Into `folder`, which is made. All is of now: by size and time BuildKit tells what it has
    already, and two commits may be of one second. Raises BadStream, TooMuch, OSError."""
    head = _exactly(source, _HEAD.size)
    folder.mkdir(parents=True)
    folders, kept, files, size = {b""}, 0, 0, 0
    root = os.fsencode(folder)
    while True:
        kind, length = _HEAD.unpack(head)
        if length > limits.path:
            raise TooMuch("path")
        path = _exactly(source, length)
        if path.count(b"/") > limits.depth:
            raise TooMuch("path")
        (left,) = _SIZE.unpack(_exactly(source, _SIZE.size))
        if kind == b"e":
            break
        files, size = files + 1, size + left
        if files > limits.files:
            raise TooMuch("files")
        if size > limits.size:
            raise TooMuch("size")
        parent, _, name = path.rpartition(b"/")
        odd = name in (b"", b".", b"..") or b"\0" in name or len(name) > _LONGEST_NAME
        if odd or parent not in folders:
            raise BadStream(f"an entry is at {path!r}")
        place = os.path.join(root, path)  # noqa: PTH118 - names are bytes
        try:
            _make(kind, place, source, left)
        except FileExistsError as error:
            raise BadStream(f"two entries are at {path!r}") from error
        if kind == b"d":
            folders.add(path)
            kept += length
            if kept > _FOLDERS:
                raise TooMuch("files")
        head = _exactly(source, _HEAD.size)


def _make(kind: bytes, place: bytes, source: BinaryIO, left: int) -> None:
    match kind:
        case b"d":
            os.mkdir(place, 0o755)  # noqa: PTH102
        case b"l":
            if left > _LONGEST_LINK:
                raise BadStream("a link leads too far")
            os.symlink(_exactly(source, left), place)  # noqa: PTH211
        case b"f" | b"x":
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(place, flags, 0o755 if kind == b"x" else 0o644), "wb") as file:
                while left:
                    data = _exactly(source, min(left, _CHUNK))
                    file.write(data)
                    left -= len(data)
        case _:
            raise BadStream(f"an entry is of the kind {kind!r}")


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise BadStream("it ended before its end")
    return data
