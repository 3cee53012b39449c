"""The registry's repositories, as they lie in its volume. Removing a tag by its file, and not a
manifest by its digest, never touches another tag that is pushed meanwhile. What is removed is first
moved away whole: whoever dies in between leaves nothing half."""

import asyncio
import contextlib
import re
import shutil
import time
import uuid
from pathlib import Path

from slipway.contracts.registry import FILLS, LIBRARY

ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Of organizations, services and deployments: all else was pushed under a name of its own."""
_FILLING = 600.0
"""Seconds in which the library is filled, or never."""
_OWN = ("_manifests", "_layers", "_uploads")
"""A repository's folders; others in it are repositories with longer names."""


class Repositories:
    """`store`: the volume's root."""

    def __init__(self, store: Path) -> None:
        self._root = store / "docker/registry/v2/repositories"
        self._away = store / "swept"
        self._mark = store / "collecting"
        self._library = store / LIBRARY

    async def organizations(self) -> list[str]:
        return [name for name in _folders(self._root) if ID.fullmatch(name)]

    async def services(self, organization: str) -> list[str]:
        """The first parts of its repositories' names; no id where a step has pushed another."""
        return _folders(self._root / organization)

    async def tags(self, organization: str, service: str) -> dict[str, str]:
        """Tag → digest."""
        folder = self._root / organization / service / "_manifests/tags"
        found: dict[str, str] = {}
        for tag in _folders(folder):
            try:
                found[tag] = (folder / tag / "current/link").read_text().strip()
            except OSError:  # it is being pushed for the first time
                continue
        return found

    async def drop_tag(self, organization: str, service: str, tag: str) -> None:
        await self._drop(self._root / organization / service / "_manifests/tags" / tag)

    async def drop(self, organization: str, service: str) -> None:
        """The whole repository, and those whose names begin with its own."""
        await self._drop(self._root / organization / service)

    async def drop_longer(self, organization: str, service: str) -> None:
        """Repositories whose names begin with the service's."""
        for name in _folders(self._root / organization / service):
            if name not in _OWN:
                await self._drop(self._root / organization / service / name)

    async def _drop(self, folder: Path) -> None:
        await asyncio.to_thread(self._removed, folder)

    def _removed(self, folder: Path) -> None:
        self._away.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            folder.rename(self._away / uuid.uuid4().hex)
        shutil.rmtree(self._away, ignore_errors=True)

    async def collecting(self) -> bool:
        """A collection has begun, and nobody has said that it ended."""
        return self._mark.exists()

    async def library_is_filled(self) -> bool:
        """Somebody pushes into the library, past the registry's door; or died over it a while
        ago."""
        try:
            age = time.time() - self._library.stat().st_mtime
            return age < _FILLING and self._library.read_text().strip() == FILLS
        except OSError:
            return False

    async def begin_collecting(self) -> None:
        self._mark.touch()
        await asyncio.to_thread(self._whole)

    def _whole(self) -> None:
        """The collector gives up at a repository that lacks one of its folders."""
        for manifests in self._root.glob("**/_manifests"):
            for folder in (manifests / "tags", manifests.parent / "_layers/sha256"):
                folder.mkdir(parents=True, exist_ok=True)

    async def end_collecting(self) -> None:
        self._mark.unlink(missing_ok=True)


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir() if each.is_dir())
    except FileNotFoundError:
        return []
