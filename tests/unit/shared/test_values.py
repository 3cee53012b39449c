"""Values are copied as pydantic copies models."""

from collections.abc import Iterator
from typing import Any

import pytest
from api_gateway.app import FEATURES
from pydantic import BaseModel, ValidationError
from slipway.contracts.event import Value, lasting
from slipway.contracts.values import Failure, GitSource

SOURCE = GitSource(url="https://example.test/one.git", branch="main")


def values(cls: type[Value] = Value) -> Iterator[type[Value]]:
    for each in cls.__subclasses__():
        yield each
        yield from values(each)


@pytest.mark.parametrize("update", [None, {}, {"branch": "next"}, {"path": "a", "branch": "b"}])
@pytest.mark.parametrize("deep", [False, True])
def test_a_copy_is_pydantics_copy(update: dict[str, Any] | None, deep: bool):
    copied = SOURCE.model_copy(update=update, deep=deep)
    wanted = BaseModel.model_copy(SOURCE, update=update, deep=deep)
    assert type(copied) is GitSource
    assert (copied, hash(copied), repr(copied)) == (wanted, hash(wanted), repr(wanted))
    assert copied.model_fields_set == wanted.model_fields_set
    assert copied.model_dump(exclude_unset=True) == wanted.model_dump(exclude_unset=True)
    assert vars(copied) is not vars(SOURCE)
    assert GitSource(url="https://example.test/one.git", branch="main") == SOURCE
    assert SOURCE.model_fields_set == {"url", "branch"}
    with pytest.raises(ValidationError, match="frozen"):
        copied.branch = "other"


def test_of_no_value_anything_else_would_have_to_be_copied():
    """Private attributes and further fields, which a copy leaves out."""
    assert FEATURES.deciders
    kinds = set(values())
    assert len(kinds) > 100
    assert not [kind for kind in kinds if kind.__private_attributes__]
    assert {kind.model_config.get("extra") for kind in kinds} == {"forbid"}


def test_a_copy_keeps_to_bounds_where_the_value_does():
    copied = Failure(reason="a", detail="b").model_copy(update={"detail": "c" * 100_000})
    assert len(copied.detail) < 100_000


def test_what_lasts_shares_what_is_alike():
    one, other = (
        GitSource.from_stored({"url": url, "branch": "main"})
        for url in ("https://example.test/a.git", "https://example.test/b.git")
    )
    for each in (one, other):
        before = (each.model_dump(), set(each.model_fields_set), hash(each))
        lasting(each)
        assert (each.model_dump(), each.model_fields_set, hash(each)) == before
    assert one.model_fields_set is other.model_fields_set
    copied = one.model_copy(update={"path": "a"})
    assert copied.model_fields_set == {"url", "branch", "path"}
    assert other.model_fields_set == {"url", "branch"}
