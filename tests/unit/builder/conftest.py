import pytest

from tests.unit.builder.site import Site
from tests.unit.builder.yard import Yard


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def site() -> Site:
    return Site()
