"""What runs beside what, where two processes run all tests (`--numprocesses 2 --dist loadgroup`):
one has those of the platform, one after another, since they kill parts of it; one the rest."""

import os
from pathlib import Path

import pytest

PLATFORM = Path(__file__).parent / "e2e"
BEGAN = os.nice(0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if PLATFORM in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("platform"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The rest gives way: what the platform promises is promised in seconds."""
    beside = getattr(item.config.option, "loadgroup", False)
    if beside and item.get_closest_marker("xdist_group") is None and os.nice(0) == BEGAN:
        os.nice(5)
