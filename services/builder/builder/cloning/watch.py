"""Programs that clone, ended when they take too much: time, silence, room."""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from builder.cloning.order import Limits

_END = 32 * 1024
"""Bytes that are kept of the beginning of an output, and of its end."""
_READ = 64 * 1024
_TOLD = 5.0
"""Seconds between two words on how far it came."""
_LONGEST_WORD = 300
_FREE = 0.05
"""Of the disk: where less is free, everybody's clones end."""
_TOO_LARGE = "File too large"
"""How programs say that a file would be larger than they may write."""
_KILLS = (
    Path("/sys/fs/cgroup/memory.events"),
    Path("/sys/fs/cgroup/memory/memory.oom_control"),
)
"""Of control groups of version 2 and 1."""


class Ended(Exception):
    """`why`: see `order.NotCloned`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Room:
    """What a folder holds. Looking takes time: the more there is, the seldomer it is done."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._next = 0.0
        self._deepest = os.fspath(folder).count("/") + 2 + limits.depth
        self.size = 0

    def look(self, *, now: bool = False) -> None:
        """Raises Ended when it is too much, also for the disk that all share."""
        disk = os.statvfs(self._folder)
        if disk.f_bavail < _FREE * disk.f_blocks:
            raise Ended("disk")
        began = time.monotonic()
        if began < self._next and not now:
            return
        size = files = 0
        prefix = len(os.fsencode(self._folder)) + 1
        for base, folders, names in os.walk(self._folder):
            files += len(names) + len(folders)
            longest = max(map(len, map(os.fsencode, names)), default=0)
            long = len(os.fsencode(base)) - prefix + longest > self._limits.path
            if long or base.count("/") > self._deepest:
                raise Ended("path")
            for name in names:
                with contextlib.suppress(OSError):
                    size += os.lstat(f"{base}/{name}").st_size
            if files > self._limits.files:
                raise Ended("files")
            if size > self._limits.size:
                raise Ended("size")
        self.size = size
        took = time.monotonic() - began
        self._next = time.monotonic() + max(1.0, 10 * took)


class Watch:
    def __init__(
        self, folder: Path, env: Mapping[str, str], limits: Limits, tell: Callable[[str], None]
    ) -> None:
        self._env, self._limits, self._tell = env, limits, tell
        self._folder, self._room = folder, Room(folder, limits)
        self._end = time.monotonic() + limits.seconds
        self._group: int | None = None
        self._over = False
        self._starting = threading.Lock()
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.size, limits.size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        """(exit code, output: its beginning and its end where it is long). Raises Ended."""
        kills = _kills()
        with self._starting:
            if self._over:
                raise Ended("ended")
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
                restore_signals=False,  # a file that is too large is told in words, then
            )
            self._group = process.pid
        assert process.stdout is not None  # noqa: S101
        try:
            output = self._followed(process.stdout.fileno())
            code = process.wait(self._limits.silence)
        except subprocess.TimeoutExpired as error:
            raise Ended("silent") from error
        finally:
            self.stop()
            process.stdout.close()
            process.wait()
        if code and _kills() > kills:
            raise Ended("memory")
        if code and _TOO_LARGE in output:
            raise Ended("size")
        return code, output

    def stop(self) -> None:
        """What runs is ended, with all that it started."""
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)

    def end(self) -> None:
        """The same, and nothing is begun any more."""
        with self._starting:
            self._over = True
            self.stop()

    def check(self) -> None:
        """All that there is now. Raises Ended."""
        self._room.look(now=True)

    def _followed(self, pipe: int) -> str:
        head, tail, gone = bytearray(), bytearray(), 0
        moved = told = time.monotonic()
        size = self._room.size
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                ready = selector.select(0.5)
                now = time.monotonic()
                if ready:
                    data = os.read(pipe, _READ)
                    if not data:
                        break
                    moved = now
                    room = _END - len(head)
                    head += data[:room]
                    tail += data[room:]
                    gone += max(0, len(tail) - _END)
                    del tail[:-_END]
                self._room.look()
                if self._room.size != size:  # it says nothing, and yet goes on
                    size, moved = self._room.size, now
                if now - moved > self._limits.silence:
                    raise Ended("silent")
                if now > self._end:
                    raise Ended("slow")
                if now - told > _TOLD:
                    told = now
                    self._tell(_last_word(bytes(tail or head)))
        gap = f"\n… {gone} bytes are left out here …\n".encode() if gone else b""
        return bytes(head + gap + tail).decode(errors="replace")


def _kills() -> int:
    """So often the kernel has ended a program of this container for its memory."""
    for file in _KILLS:
        with contextlib.suppress(OSError, ValueError):
            rows = (row.split() for row in file.read_text().splitlines())
            return next((int(row[1]) for row in rows if row[0] == "oom_kill"), 0)
    return 0


def _last_word(output: bytes) -> str:
    """The line that a terminal would show now."""
    lines = output[-4 * _LONGEST_WORD :].replace(b"\r", b"\n").split(b"\n")
    word = next((line for line in reversed(lines) if line.strip()), b"")
    return word.decode(errors="replace").strip()[:_LONGEST_WORD]


def remove(folder: Path) -> None:
    """By a program: folders may stand in one another deeper than Python can go."""
    with contextlib.suppress(OSError):
        subprocess.run(["rm", "-rf", "--", folder], stderr=subprocess.DEVNULL, check=False)
