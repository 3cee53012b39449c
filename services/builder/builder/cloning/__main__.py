"""Clones a repository, as unprivileged as can be, in the network of an organization's builds.

It is told by one line on its standard input what to clone, and ends with it: when that is closed,
nobody waits any more. The files go to standard output (`entries`), how far it came and what became
of it as lines of JSON to standard error.
"""

import contextlib
import errno
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from builder.cloning import entries, render
from builder.cloning.order import LONGEST_ORDER, Cloned, NotCloned, Order
from builder.cloning.watch import Ended, Watch, remove

_MOST = 50
"""Names of branches that are told."""


def _say(**said: Any) -> None:
    os.write(2, json.dumps(said).encode() + b"\n")


def _tell(progress: str) -> None:
    _say(progress=progress)


class _Clone:
    def __init__(self, order: Order, folder: Path) -> None:
        self._order, self._source = order, str(folder / "source")
        (folder / "gitconfig").write_text(render.configuration(order.limits))
        self.watch = Watch(folder, render.environment(str(folder)), order.limits, _tell)

    def made(self) -> Cloned | NotCloned:
        try:
            return self._made()
        except Ended as error:
            return NotCloned(error.why)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return NotCloned("disk")
            raise

    def _made(self) -> Cloned | NotCloned:
        source = Path(self._source)
        shallow = not self._order.history
        failed = self._cloned(shallow=shallow)
        if failed is not None and shallow and not _absent(failed):
            # Servers that only give out files know no depth, and some give no commit by its name.
            remove(source)
            if "shallow" in failed or self._order.commit is not None:
                failed = self._cloned(shallow=False)
        if failed is not None:
            if "no space left on device" in failed.lower():
                return NotCloned("disk")
            return NotCloned("git", failed, self._names() if _absent(failed) else ())
        if (source / ".gitmodules").is_file():
            code, output = self.watch.run(render.submodules(self._source, shallow=shallow))
            if code and shallow:
                code, output = self.watch.run(render.submodules(self._source, shallow=False))
            if code:
                return NotCloned("submodules", output)
        self.watch.check()
        code, described = self.watch.run(render.commit(self._source))
        if code:
            return NotCloned("git", described, ())
        hash_, author, message, *_ = (*described.rstrip("\n").split("\0", 2), "", "")
        code, branch = self.watch.run(render.branch(self._source))
        order = self._order
        if code and order.branch is not None and order.commit is None:  # git takes a tag too
            said = f"Remote branch {order.branch} not found: it is a tag"
            return NotCloned("git", said, self._names())
        return Cloned(hash_, author, message, None if code else branch.strip())

    def _cloned(self, *, shallow: bool) -> str | None:
        """What git said where it failed."""
        for argv in render.clone(self._order, self._source, shallow=shallow):
            code, output = self.watch.run(argv)
            if code:
                return output
        return None

    def _names(self) -> tuple[str, ...]:
        code, listed = self.watch.run(render.names(self._order))
        if code:
            return ()
        names = (row.partition("refs/")[2].partition("/")[2] for row in listed.splitlines())
        return tuple(name for name in names if name and not name.endswith("^{}"))[:_MOST]


def _absent(output: str) -> bool:
    """The repository is there, and what was asked for is not."""
    low = output.lower()
    return "remote branch" in low or "couldn't find remote ref" in low


def _end_with_input(clone: _Clone, folder: Path) -> None:
    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        try:
            clone.watch.end()
            remove(folder)
        finally:
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < LONGEST_ORDER:
        data = os.read(0, LONGEST_ORDER)  # not buffered: what comes later tells the end
        if not data:
            return 1
        line += data
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    order = Order.from_json(bytes(line).decode())
    folder = Path(tempfile.mkdtemp(prefix="clone-"))
    try:
        clone = _Clone(order, folder)
        _end_with_input(clone, folder)
        match clone.made():
            case Cloned(hash_, author, message, branch):
                _say(cloned={"hash": hash_, "author": author, "message": message, "branch": branch})
                without = None if order.history else ".git"
                entries.write(folder / "source", sys.stdout.buffer, without)
                return 0
            case NotCloned(why, output, there):
                _say(failed={"why": why, "output": output, "there": list(there)})
                return 1
    finally:
        remove(folder)


if __name__ == "__main__":
    sys.exit(main())
