"""What `make up` lets through beyond public addresses."""

from pathlib import Path

import pytest
from slipway.contracts import labels
from slipway.egress import way_out
from slipway_install import egress
from slipway_install.errors import InstallError
from slipway_install.settings import Settings

HOSTS = {
    "pypi.example": ["192.0.2.7"], "npm.example": ["9.9.9.9", "fd00::7"], "gone.example": [],
}  # fmt: skip


def settings(allow: str = "", *registries: str) -> Settings:
    return Settings(
        "slipway", 80, 443, 4000, "", "", "", "", "", Path("/"), True, allow, registries
    )


def test_registries_that_have_no_public_address_are_let_through():
    urls = (
        "https://pypi.example/simple", "http://npm.example:4873/", "https://gone.example/",
        "file:///srv", "https://pypi.example/other",
    )  # fmt: skip
    found = egress.allowed(settings("10.0.0.1:5432", *urls), HOSTS.__getitem__)
    assert found == "10.0.0.1:5432 192.0.2.7:443 [fd00::7]:4873"


def test_a_setting_that_cannot_be_read_is_told_with_what_to_do():
    with pytest.raises(InstallError) as refused:
        egress.allowed(settings("db.example.org:5432"), HOSTS.__getitem__)
    assert "SLIPWAY_EGRESS_ALLOW can't be read" in str(refused.value)
    assert "names are not resolved" in str(refused.value)


@pytest.mark.parametrize(("internal", "told"), [(True, False), (False, True)])
def test_networks_that_lead_out_themselves_end_it(
    monkeypatch: pytest.MonkeyPatch, internal: bool, told: bool
):
    made: list[tuple[str, ...]] = []
    names = {"slipway_env_1", "slipway_control"}
    monkeypatch.setattr(egress.engine, "names", lambda *_: names)
    there = {"slipway_env_1": {"Internal": internal}}
    monkeypatch.setattr(egress.engine, "inspect", lambda _, name: there.get(name))
    monkeypatch.setattr(egress.engine, "run", lambda *argv: made.append(argv))
    monkeypatch.setattr(egress.engine, "rows", lambda *_: [{"Name": "slipway_egress_bridge"}])
    if told:
        with pytest.raises(InstallError, match="slipway_env_1") as refused:
            egress.ensure_networks(settings())
        assert "make purge" in str(refused.value)
        assert made == []
    else:
        egress.ensure_networks(settings())
        assert [argv[-1] for argv in made] == ["slipway_egress_bridge", "slipway_egress"]


def test_the_engine_is_asked_for_the_way_out_by_command():
    of_node, of_swarm = map(egress.created, way_out.networks("slipway", "00ff", 2))
    bridge = labels.workloads_bridge("slipway", "00ff")
    assert of_node == [
        "network", "create", "--config-only", "--opt", f"com.docker.network.bridge.name={bridge}",
        "--opt", "com.docker.network.bridge.enable_icc=false",
        "--label", "slipway.instance=slipway", "slipway_egress_bridge_2",
    ]  # fmt: skip
    assert of_swarm == [
        "network", "create", "--driver", "bridge", "--scope", "swarm",
        "--config-from", "slipway_egress_bridge_2", "slipway_egress_2",
    ]  # fmt: skip


def test_another_way_out_is_not_made_where_one_took_the_place_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
):
    made: list[tuple[str, ...]] = []
    monkeypatch.setattr(egress.engine, "names", lambda *_: set[str]())
    monkeypatch.setattr(egress.engine, "run", lambda *argv: made.append(argv))
    monkeypatch.setattr(egress.engine, "rows", lambda *_: [{"Name": "slipway_egress_2"}])
    egress.ensure_networks(settings())
    assert made == []
