"""The registry's files, of which steps may push as many as they like."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
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
        assert await found.tags(ORGANIZATION, SERVICE) == ["a", "b"]
        assert await found.digests(ORGANIZATION, SERVICE, ["a", "c"]) == {"a": "sha256:x"}
        assert await found.drop_tags(ORGANIZATION, SERVICE, ["a", "c"]) == 1
        assert await found.drop_longer(ORGANIZATION, SERVICE, 1) == 1
        await found.drop_untagged()
        await found.clear_untagged()
        assert await found.tags(ORGANIZATION, SERVICE) == ["b"]
        assert await found.drop(ORGANIZATION, [SERVICE, "other"]) == 1

    asyncio.run(everything())
    assert by
    assert threading.main_thread() not in by
    assert not repository.exists()
