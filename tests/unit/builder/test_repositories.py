"""The registry's files, of which steps may push as many as they like."""

import asyncio
import errno
import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builder.adapters.repositories import Repositories
from slipway.kernel.ids import derived

ORGANIZATION, SERVICE = derived("organization"), derived("service")


def test_builds_go_on_whatever_is_read_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing that grows with what was pushed is done by the thread of the event loop."""
    by = set[threading.Thread]()

    def seen(what: Callable[..., Any]) -> Callable[..., Any]:
        def done(*args: Any, **more: Any) -> Any:
            by.add(threading.current_thread())
            return what(*args, **more)

        return done

    repository = tmp_path / "docker/registry/v2/repositories" / ORGANIZATION / SERVICE
    for tag in ("a", "b"):
        (repository / "_manifests/tags" / tag / "current").mkdir(parents=True)
        (repository / "_manifests/tags" / tag / "current/link").write_text("sha256:x")
    (repository / "longer").mkdir()
    monkeypatch.setattr(os, "scandir", seen(os.scandir))
    for name in ("rename", "read_text", "iterdir"):
        monkeypatch.setattr(Path, name, seen(getattr(Path, name)))
    found = Repositories(tmp_path)

    async def everything() -> None:
        assert await found.organizations() == [ORGANIZATION]
        assert await found.names(ORGANIZATION) == [SERVICE]
        assert sorted(await found.tags(ORGANIZATION, SERVICE)) == ["a", "b"]
        assert await found.digests(ORGANIZATION, SERVICE, ["a", "c"]) == {"a": "sha256:x"}
        assert await found.drop_tags(ORGANIZATION, SERVICE, ["a", "c"]) == 1
        assert await found.drop_longer(ORGANIZATION, SERVICE, 1) == 1
        await found.drop_untagged(300)
        await found.clear_untagged()
        assert await found.tags(ORGANIZATION, SERVICE) == ["b"]
        assert await found.drop(ORGANIZATION, [SERVICE, "other"]) == 1

    asyncio.run(everything())
    assert by
    assert threading.main_thread() not in by
    assert not repository.exists()


async def test_of_many_names_no_path_is_made_by_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    joined, join = list[str](), Path.__truediv__

    def joins(path: Path, name: str) -> Path:
        if threading.current_thread() is threading.main_thread():
            joined.append(name)
        return join(path, name)

    folder = tmp_path / f"docker/registry/v2/repositories/{ORGANIZATION}/{SERVICE}"
    for number in range(100):
        (folder / f"longer{number}").mkdir(parents=True)
    found = Repositories(tmp_path)
    monkeypatch.setattr(Path, "__truediv__", joins)
    await found.drop_tags(ORGANIZATION, SERVICE, [f"x{number}" for number in range(100)])
    await found.drop(ORGANIZATION, [f"x{number}" for number in range(100)])
    assert await found.drop_longer(ORGANIZATION, SERVICE, 60) == 60
    assert await found.drop_longer(ORGANIZATION, SERVICE, 60) == 40
    assert len(joined) < 20


def filled(root: Path) -> Path:
    """The revisions of a repository, without a tag."""
    revisions = root / f"docker/registry/v2/repositories/{ORGANIZATION}/{SERVICE}"
    revisions /= "_manifests/revisions/sha256"
    for number in range(10):
        (revisions / f"{number:064x}").mkdir(parents=True)
    return revisions


async def test_what_has_no_tag_is_dropped_for_some_seconds_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nobody may push meanwhile; what is not done then is no more done beside those who push."""
    revisions, seconds = filled(tmp_path), itertools.count()
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)))
    monkeypatch.setattr("builder.adapters.repositories.time", clock)
    found = Repositories(tmp_path)
    with pytest.raises(TimeoutError, match="in 6 s"):
        await found.drop_untagged(6)
    left = len(list(revisions.iterdir()))
    assert 0 < left < 10
    await asyncio.sleep(0.05)
    assert len(list(revisions.iterdir())) == left
    await found.drop_untagged(1000)
    assert not list(revisions.iterdir())


async def test_a_full_disk_does_not_keep_it_from_being_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """There is no room for the name of one more file: all that is needed is there from before."""
    found = Repositories(tmp_path)

    async def everything() -> None:
        filled(tmp_path)
        await found.begin_collecting()
        assert await found.collecting()
        await found.drop_untagged(300)
        await found.end_collecting(well=True)
        assert not await found.collecting()
        await found.clear_untagged()
        assert await found.drop(ORGANIZATION, [SERVICE]) == 1

    await everything()
    ago = time.time() - 3600
    os.utime(tmp_path / "not-collecting", (ago, ago))

    def room_for_none(make: Callable[..., None]) -> Callable[..., None]:
        def made(path: Path, *args: Any, **more: Any) -> None:
            if path.parent == tmp_path and not path.exists():
                raise OSError(errno.ENOSPC, "no space left on device")
            make(path, *args, **more)

        return made

    for name in ("touch", "mkdir"):
        monkeypatch.setattr(Path, name, room_for_none(getattr(Path, name)))
    await everything()
    await found.begin_collecting()
    assert (tmp_path / "collecting").stat().st_mtime > ago + 3000, "who waits counts from now"
