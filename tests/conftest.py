"""What runs side by side where there are two processes (`--dist loadgroup`): the tests of the
platform in one, in turn, for they share an instance; all others in the next, which gives way."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent
_TOGETHER = {"e2e": "platform", "machines": "engines"}
"""Folder → what its tests have in common."""
_GIVES_WAY = 10
_given_way = False


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0]


@pytest.hookimpl(tryfirst=True)  # what puts them together looks at the marks in the same hook
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if group := _TOGETHER.get(_folder(item)):
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Nobody waits for a test that needs no platform; those of the platform measure."""
    global _given_way  # noqa: PLW0603
    beside = os.environ.get("PYTEST_XDIST_WORKER_COUNT") == "2"
    group = _TOGETHER.get(_folder(item))
    if beside and group and not item.nodeid.endswith(f"@{group}"):
        pytest.exit("two tests of the platform would run at once: see tests/conftest.py")
    if beside and not _given_way and _folder(item) != "e2e":
        os.nice(_GIVES_WAY)
        _given_way = True
