"""What builds may take: the organization's, else the installation's, never above the ceilings."""

import pytest
from pydantic import ValidationError
from slipway.contracts.limits import BuildCeilings, BuildLimits, OwnLimits, above, of_builds
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


def test_without_a_number_of_slots_a_ceiling_says_none():
    assert of_builds(BuildLimits(), OwnLimits(), BuildCeilings(slots=2)).slots is None


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
