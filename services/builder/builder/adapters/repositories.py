"""The registry's repositories, as they lie in its volume. Removing a tag by its file, and not a
manifest by its digest, never touches another tag that is pushed meanwhile. What is removed is first
moved away whole: whoever dies in between leaves nothing half.

Whoever builds may push without end, so all of it is done in threads.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from slipway.contracts.registry import COLLECTS, FILLS, LIBRARY

_ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST = re.compile("sha256:([0-9a-f]{2})[0-9a-f]{62}")
_FILLING = 600.0
"""Seconds in which the library is filled, or never."""
_OWN = ("_manifests", "_layers", "_uploads")
"""A repository's folders; others in it are repositories with longer names."""


class Repositories:
    """`store`: the volume's root."""

    def __init__(self, store: Path) -> None:
        self._root = store / "docker/registry/v2/repositories"
        self._blobs = store / "docker/registry/v2/blobs/sha256"
        self._swept, self._untagged = store / "swept", store / "untagged"
        self._mark, self._no_mark = store / COLLECTS, store / f"not-{COLLECTS}"
        self._collected = store / "collected"
        self._library = store / LIBRARY
        self.still = asyncio.Lock()
        """Of who collects: meanwhile nothing is dropped."""

    async def organizations(self) -> list[str]:
        names = await asyncio.to_thread(_folders, self._root)
        return [name for name in names if _ID.fullmatch(name)]

    async def names(self, organization: str) -> list[str]:
        """The first parts of its repositories' names: services, and what steps have pushed."""
        return await asyncio.to_thread(_folders, self._root / organization)

    async def tags(self, organization: str, service: str) -> list[str]:
        return await asyncio.to_thread(_folders, self._tags(organization, service))

    async def digests(self, organization: str, service: str, tags: Iterable[str]) -> dict[str, str]:
        """Tag → digest, without those that are gone or not whole yet."""
        return await asyncio.to_thread(_digests, self._tags(organization, service), tags)

    async def drop_tags(self, organization: str, service: str, tags: Sequence[str]) -> int:
        folder = self._tags(organization, service)
        return await self._drop(folder, tags)

    async def drop(self, organization: str, names: Sequence[str]) -> int:
        """The whole repositories, and those whose names begin with theirs. How many there were."""
        return await self._drop(self._root / organization, names)

    async def drop_longer(self, organization: str, service: str, most: int) -> int:
        """Repositories whose names begin with the service's."""
        folder = self._root / organization / service
        return await self._drop(folder, await asyncio.to_thread(_longer, folder, most))

    def _tags(self, organization: str, service: str) -> Path:
        return self._root / organization / service / "_manifests/tags"

    async def _drop(self, folder: Path, names: Iterable[str]) -> int:
        async with self.still:
            return await asyncio.to_thread(_moved, folder, names, self._swept)

    async def clear_swept(self) -> None:
        """What was dropped, also by who died before it was removed."""
        await asyncio.to_thread(_clear, self._swept)

    # -- collecting --------------------------------------------------------------------------------

    async def collecting(self) -> bool:
        """A collection has begun, and nobody has said that it ended."""
        return self._mark.exists()

    async def collected_ago(self) -> float:
        """Seconds since a collection went well; 0 where none did."""
        try:
            return max(0.0, time.time() - self._collected.stat().st_mtime)
        except OSError:
            return 0.0

    async def library_is_filled(self) -> bool:
        """Somebody pushes into the library, past the registry's door; or died over it a while
        ago."""
        try:
            age = time.time() - self._library.stat().st_mtime
            return age < _FILLING and self._library.read_text().strip() == FILLS
        except OSError:
            return False

    async def begin_collecting(self) -> None:
        """On a full disk too, where nothing may be made."""
        if self._no_mark.exists():
            os.utime(self._no_mark)
            self._no_mark.rename(self._mark)
        else:
            self._mark.touch()

    async def end_collecting(self, *, well: bool) -> None:
        if well:
            self._collected.touch()
        with contextlib.suppress(FileNotFoundError):
            self._mark.rename(self._no_mark)

    async def drop_untagged(self, seconds: float) -> None:
        """Manifests that no tag leads to, so that all that are there are kept by the collector.
        Nobody pushes meanwhile, so they are only moved away. Raises TimeoutError behind that many
        seconds: nothing is moved any more, and the rest is for the next time."""
        await asyncio.to_thread(self._without_tag, _until(seconds))

    async def clear_untagged(self) -> None:
        """What was moved away, when everybody may push again."""
        await asyncio.to_thread(_clear, self._untagged)

    def _without_tag(self, in_time: Callable[[], None]) -> None:
        self._untagged.mkdir(exist_ok=True)
        for manifests in self._all():
            in_time()
            # The collector gives up at a repository that lacks one of its folders.
            for folder in (manifests / "tags", manifests.parent / "_layers/sha256"):
                folder.mkdir(parents=True, exist_ok=True)
            tags, revisions = manifests / "tags", manifests / "revisions/sha256"
            digests = _digests(tags, _each(_names(tags), in_time))
            stay = self._with_parts(digests.values(), in_time)
            gone = (name for name in _folders(revisions) if f"sha256:{name}" not in stay)
            _moved(revisions, _each(gone, in_time), self._untagged)

    def _all(self) -> Iterator[Path]:
        for path, folders, _ in os.walk(self._root):
            if "_manifests" in folders:
                yield Path(path, "_manifests")
            folders[:] = [name for name in folders if name not in _OWN]

    def _with_parts(self, digests: Iterable[str], in_time: Callable[[], None]) -> set[str]:
        """Also what an image for several platforms consists of."""
        found, left = set[str](), list(digests)
        while left:
            in_time()
            if (digest := left.pop()) not in found:
                found.add(digest)
                left += self._parts(digest)
        return found

    def _parts(self, digest: str) -> list[str]:
        """None of what nobody can read: the registry has not taken that."""
        if (match := _DIGEST.fullmatch(digest)) is None:
            return []
        try:
            text = (self._blobs / match[1] / digest.partition(":")[2] / "data").read_bytes()
            parts = json.loads(text).get("manifests") or ()
            return [part["digest"] for part in parts if _DIGEST.fullmatch(part["digest"])]
        except (FileNotFoundError, ValueError, RecursionError, AttributeError, TypeError, KeyError):
            return []


def _until(seconds: float) -> Callable[[], None]:
    """To be called again and again: raises TimeoutError once that many seconds are over."""
    end = time.monotonic() + seconds

    def in_time() -> None:
        if time.monotonic() > end:
            raise TimeoutError(f"it was not done in {seconds:.0f} s")

    return in_time


def _each(names: Iterable[str], in_time: Callable[[], None]) -> Iterator[str]:
    for name in names:
        in_time()
        yield name


def _names(folder: Path) -> Iterator[str]:
    """Of the folders in it, in no order: to sort many would keep all threads."""
    try:
        with os.scandir(folder) as found:
            for each in found:
                if each.is_dir():
                    yield each.name
    except FileNotFoundError:
        return


def _folders(folder: Path) -> list[str]:
    return list(_names(folder))


def _longer(folder: Path, most: int) -> list[str]:
    return list(itertools.islice((each for each in _names(folder) if each not in _OWN), most))


def _digests(folder: Path, tags: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags:
        with contextlib.suppress(FileNotFoundError):
            found[tag] = (folder / tag / "current/link").read_text().strip()
    return found


def _moved(folder: Path, names: Iterable[str], away: Path) -> int:
    """How many there were. `away` stays, empty: on a full disk there may be no room to make it."""
    there = 0
    away.mkdir(exist_ok=True)
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            (folder / name).rename(away / uuid.uuid4().hex)
            there += 1
    return there


def _clear(folder: Path) -> None:
    """Somebody else may do so at the same time."""
    for name in _folders(folder):
        shutil.rmtree(folder / name, onexc=_raised)


def _raised(_what: Any, _path: str, error: BaseException) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
