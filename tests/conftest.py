"""What runs side by side. Where there are two processes, the tests of the platform in one, in turn,
for they share an instance; all others in the next, which gives way."""

import gc
import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_TOGETHER = {
    "tests/e2e": "platform",
    "tests/machines": "engines",
    "tests/contract/test_examples.py": "copy with the examples",
    "tests/architecture/test_static_checks.py": "copy with breaches",
}
"""Folder or file → what its tests have in common."""
_TWO = 2
_GIVES_WAY = 10
_given_way = False


def _in_common(test: str) -> str | None:
    """Of the test of that id."""
    file = test.partition("::")[0]
    return _TOGETHER.get(file) or _TOGETHER.get("/".join(file.split("/", 2)[:2]))


class _Together(LoadScopeScheduling):
    """What has something in common is one piece of work, in one process; the largest first. The
    marks that xdist has for this are lost on pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return _in_common(nodeid) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Together | None:
    return _Together(config, log)


def pytest_collection_finish() -> None:
    """What all tests share stays: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Nobody waits for a test that needs no platform; those of the platform measure."""
    global _given_way  # noqa: PLW0603
    beside = os.environ.get("PYTEST_XDIST_WORKER_COUNT") == str(_TWO)
    if beside and not _given_way and _in_common(item.nodeid) != "platform":
        os.nice(_GIVES_WAY)
        _given_way = True
