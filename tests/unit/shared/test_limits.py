"""What builds may take: the organization's, else the installation's, never above the ceilings."""

import pytest
from pydantic import ValidationError
from slipway.contracts.limits import (
    BuildCeilings,
    BuildLimits,
    OwnLimits,
    above,
    of_builds,
    processors,
)
from slipway.runtime.settings import LimitSettings

GIB = 1 << 30


def test_an_organization_has_the_installations_where_nothing_else_is_said():
    installation = BuildLimits(memory=GIB, seconds=60)
    assert of_builds(installation, OwnLimits(), BuildCeilings()) == installation
    own = OwnLimits(memory=2 * GIB, slots=1)
    assert of_builds(installation, own, BuildCeilings()) == BuildLimits(
        memory=2 * GIB, seconds=60, slots=1
    )


def test_nothing_is_above_the_ceilings_whenever_it_was_said():
    ceilings = BuildCeilings(memory=GIB, disk=5 * GIB, slots=2, output=1 << 20, seconds=100)
    own = OwnLimits(memory=2 * GIB, cpus=1, disk=4 * GIB, slots=3)
    found = of_builds(BuildLimits(), own, ceilings)
    assert found == BuildLimits(
        memory=GIB, cpus=1, disk=4 * GIB, slots=2, output=1 << 20, seconds=100
    )
    assert above(own, ceilings) == {"memory": GIB, "slots": 2}
    assert above(own, BuildCeilings()) == {}


def test_without_a_number_of_slots_there_are_those_of_the_ceiling():
    assert of_builds(BuildLimits(), OwnLimits(), BuildCeilings()).slots is None
    assert of_builds(BuildLimits(), OwnLimits(), BuildCeilings(slots=2)).slots == 2


@pytest.mark.parametrize(("node", "some"), [(1, 1), (2, 1), (3, 1.5), (8, 4), (200, 64)])
def test_a_build_has_half_of_the_nodes_processors(node: int, some: float):
    """One at least, and never more than the ceiling."""
    limits = of_builds(BuildLimits(), OwnLimits(), BuildCeilings())
    assert limits.cpus is None
    assert processors(limits, BuildCeilings(), node) == some


@pytest.mark.parametrize(
    ("said", "ceiling", "some"), [(0.5, 64, 0.5), (3, 64, 3), (9, 64, 4), (3, 2, 2), (9, None, 4)]
)
def test_or_as_many_as_are_said_of_those_that_there_are(
    said: float, ceiling: float | None, some: float
):
    ceilings = BuildCeilings(cpus=ceiling)
    limits = of_builds(BuildLimits(), OwnLimits(cpus=said), ceilings)
    assert processors(limits, ceilings, 4) == some


@pytest.mark.parametrize("kind", [BuildLimits, BuildCeilings])
@pytest.mark.parametrize(
    "name", ["memory", "cpus", "processes", "disk", "slots", "output", "seconds"]
)
def test_nothing_is_without_a_limit(kind: type[BuildLimits], name: str):
    """For the engine 0 is none."""
    with pytest.raises(ValidationError, match=name):
        kind.model_validate({name: 0})


def test_an_installation_says_those_that_differ(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLIPWAY_BUILD_LIMITS", '{"memory": 1073741824}')
    monkeypatch.setenv("SLIPWAY_BUILD_CEILINGS", "")
    settings = LimitSettings()
    assert settings.build_limits == BuildLimits(memory=GIB)
    assert settings.build_ceilings == BuildCeilings()
    monkeypatch.setenv("SLIPWAY_BUILD_CEILINGS", '{"slots": 4}')
    assert LimitSettings().build_ceilings == BuildCeilings(slots=4)
    monkeypatch.setenv("SLIPWAY_BUILD_LIMITS", '{"memory": "much"}')
    with pytest.raises(ValidationError):
        LimitSettings()
