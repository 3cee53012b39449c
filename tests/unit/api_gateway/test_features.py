"""What the features' manifests say together."""

import pytest
from api_gateway.app import FEATURES
from api_gateway.feature import Feature, Features
from api_gateway.http.application import build
from api_gateway.projects.domain import PROJECT
from slipway.contracts.event import REGISTRY
from slipway.contracts.streams import APPENDS


def test_every_operation_has_a_right_in_one_manifest():
    paths = build(None, FEATURES).openapi()["paths"]  # pyright: ignore[reportArgumentType]
    operations = [one["operationId"] for item in paths.values() for one in item.values()]
    assert sorted(operations) == sorted(FEATURES.needs)


def test_every_category_has_its_decider():
    """Those that this service alone may append to."""
    assert sorted(decider.category for decider in FEATURES.deciders) == sorted(
        APPENDS["api-gateway"]
    )


def test_what_is_folded_is_named_after_what_is_appended():
    categories = {wire.partition(".")[0] for wire in REGISTRY}
    for projection in FEATURES.projections:
        assert categories.issuperset(projection.categories), projection.collection


@pytest.mark.parametrize(
    "twice", [Feature(needs={"health": "nothing"}), Feature(deciders=(PROJECT,))]
)
def test_nothing_is_declared_twice(twice: Feature):
    with pytest.raises(ValueError, match="in two manifests"):
        Features(twice, twice)
