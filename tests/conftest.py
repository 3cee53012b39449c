"""What runs side by side where there are two processes: the tests of the platform in one, in turn,
for they share an instance; all others in the next, which gives way."""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_TOGETHER = {"tests/e2e": "platform", "tests/machines": "engines"}
"""Folder → what its tests have in common."""
_TWO = 2
_GIVES_WAY = 10
_given_way = False


def _in_common(test: str) -> str | None:
    """Of the test of that id."""
    return _TOGETHER.get("/".join(test.split("/", 2)[:2]))


class _Together(LoadScopeScheduling):
    """What has something in common is one piece of work, in one process; the largest first. The
    marks that xdist has for this are lost on pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return _in_common(nodeid) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Together | None:
    return _Together(config, log) if config.getoption("numprocesses") == _TWO else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Nobody waits for a test that needs no platform; those of the platform measure."""
    global _given_way  # noqa: PLW0603
    beside = os.environ.get("PYTEST_XDIST_WORKER_COUNT") == str(_TWO)
    if beside and not _given_way and _in_common(item.nodeid) != "platform":
        os.nice(_GIVES_WAY)
        _given_way = True
