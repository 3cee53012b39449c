import pytest

from tests.unit.builder.yard import Yard


@pytest.fixture
def yard() -> Yard:
    return Yard()
