"""The registry and the BuildKits of organizations, kept on an engine that is played."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from builder.adapters.containers import Containers, Found, NotReady
from slipway.contracts.registry import account
from slipway.runtime.engine import EngineAway, EngineRefused

from tests.simulation.world import virtual
from tests.unit.builder.site import CLONE, DOOR, KIT, REGISTRY, SAMPLE, Site


@virtual
async def test_the_registry_is_behind_its_door_on_loopback_alone(site: Site):
    async with site.running():
        await asyncio.sleep(1)
    bound = site.engine.bodies[DOOR]["HostConfig"]["PortBindings"]
    assert bound == {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5001"}]}
    assert "PortBindings" not in site.engine.bodies[REGISTRY]["HostConfig"]
    assert site.engine.there[REGISTRY].networks == {"slipway-blobs"}


@virtual
async def test_the_door_leads_no_packet_from_one_network_into_another(site: Site):
    async with site.running():
        await asyncio.sleep(1)
    assert site.engine.bodies[DOOR]["HostConfig"]["Sysctls"] == {"net.ipv4.ip_forward": "0"}


@virtual
@pytest.mark.parametrize("name", [DOOR, REGISTRY])
@pytest.mark.parametrize("change", [{"runs": False}, {"made": "otherwise"}, {}])
async def test_what_is_not_as_it_should_be_is_made_anew(
    site: Site, name: str, change: dict[str, Any]
):
    async with site.running():
        await asyncio.sleep(1)
        if change:
            site.engine.alter(name, **change)
        else:
            del site.engine.there[name]
        await asyncio.sleep(11)
        assert site.engine.said.count(f"made {name}") == 2
        await asyncio.sleep(60)
    assert len([word for word in site.engine.said if word.startswith("made")]) == 3


@virtual
async def test_one_is_started_when_it_is_needed_and_again_as_it_is(site: Site):
    async with site.running():
        async with site.taken() as first:
            assert first.container == KIT
            assert first.account == account("master", "org")
        async with site.taken(), site.taken("other"):
            pass
    engine = site.engine
    assert engine.said.count(f"made {KIT}") == 1
    assert engine.there[KIT].networks == {KIT}
    assert engine.there["slipway-build-other"].networks == {"slipway-build-other"}
    assert engine.there[DOOR].networks == {"slipway-blobs", KIT, "slipway-build-other"}
    assert {KIT, "slipway-build-other"} <= engine.volumes
    assert "/etc/slipway/users/org" in engine.files[DOOR]
    assert first.account.password not in str(engine.files)


@virtual
async def test_an_idle_one_goes_with_its_network_and_leaves_what_it_knows(site: Site):
    async with site.running():
        async with site.taken():
            await asyncio.sleep(300)
            assert KIT in site.engine.there, "it works"
        await asyncio.sleep(50)
        assert KIT in site.engine.there
        await asyncio.sleep(50)
        assert KIT not in site.engine.there
        assert KIT not in site.engine.networks
        assert KIT in site.engine.volumes
        assert KIT not in site.engine.there[DOOR].networks
        async with site.taken():
            assert KIT in site.engine.there
            assert KIT in site.engine.there[DOOR].networks


@virtual
async def test_repositories_are_cloned_in_the_network_of_builds_by_nobody(site: Site):
    async with site.running():
        async with site.cloning() as place, site.cloning():
            assert (place.container, place.memory, place.processes) == (CLONE, 1 << 30, 256)
            assert site.engine.there[CLONE].networks == {KIT}
            await asyncio.sleep(300)
            assert CLONE in site.engine.there, "it works"
        async with site.taken():
            pass
        body = site.engine.bodies[CLONE]
        assert body["User"] == "65534:65534"
        host = body["HostConfig"]
        assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
        assert (host["Memory"], host["PidsLimit"], "Mounts" in host) == (1 << 30, 256, False)
        assert "--guarded" in body["Entrypoint"], "not before the rules stand"
        assert site.engine.said.count(f"made {CLONE}") == 1
        await asyncio.sleep(100)
        assert {CLONE, KIT} & {*site.engine.there, *site.engine.networks} == set()


@virtual
@pytest.mark.parametrize("change", [{"runs": False}, {"made": "otherwise"}])
async def test_where_repositories_are_cloned_is_made_anew(site: Site, change: dict[str, Any]):
    async with site.running():
        async with site.cloning():
            pass
        site.engine.alter(CLONE, **change)
        async with site.cloning():
            assert site.engine.said.count(f"made {CLONE}") == 2


@virtual
async def test_the_samples_git_server_is_let_in_while_it_is_needed(site: Site):
    site.engine.there[SAMPLE] = Found("s", True, "", frozenset({"slipway_control"}), False)
    async with site.running():
        async with site.cloning():
            assert site.engine.there[SAMPLE].networks == {"slipway_control"}
        async with site.cloning(sample=True):
            assert site.engine.there[SAMPLE].networks == {"slipway_control", KIT}
        await asyncio.sleep(100)
        assert site.engine.there[SAMPLE].networks == {"slipway_control"}


@virtual
async def test_a_build_that_comes_while_one_is_stopped_has_its_own(site: Site):
    async with site.running():
        async with site.taken():
            pass
        while KIT in site.engine.there:
            await asyncio.sleep(0.1)
        assert KIT in site.engine.networks, "it is being stopped"
        async with site.taken():
            await asyncio.sleep(1)
            async with site.taken():
                pass
            await asyncio.sleep(300)
            assert KIT in site.engine.there
        assert site.engine.said.count(f"made {KIT}") == 2


@virtual
async def test_what_a_former_builder_left_idles_from_its_end(site: Site):
    engine = site.engine
    engine.networks.add(KIT)
    engine.there[KIT] = Found("old", True, "otherwise", frozenset({KIT}), False)
    engine.left_over = {"org"}
    async with site.running():
        await asyncio.sleep(100)
        assert KIT not in engine.there
        assert KIT not in engine.networks


@pytest.mark.parametrize("marks", [None, {}, {"slipway.instance": "another"}])
async def test_a_container_of_somebody_else_is_not_removed(marks: dict[str, str] | None):
    asked: list[str] = []

    class Foreign:
        async def query(self, path: str, method: str = "GET", **_: Any) -> Any:
            asked.append(method)
            return {"Config": {"Labels": marks}}

    engine: Any = Foreign()
    with pytest.raises(EngineRefused, match="slipway-registry is there that does not belong"):
        await Containers(engine, "slipway").remove(REGISTRY, 5)
    assert asked == ["GET"]


async def test_a_network_whose_container_is_gone_is_left_over_too():
    def its(organization: str, **more: str) -> dict[str, str]:
        return {"slipway.instance": "slipway", "slipway.org": organization, **more}

    class Listing:
        async def query(self, path: str, *, params: dict[str, str]) -> Any:
            assert "slipway.instance=slipway" in params["filters"]
            if path == "networks":
                return [
                    {"Name": "slipway-build-b", "Labels": its("b")},
                    {"Name": "slipway_env_e1", "Labels": its("b")},
                    {"Name": "slipway_env_e2", "Labels": its("c")},
                ]
            return [
                {"Names": ["/slipway-build-a"], "Labels": its("a")},
                {"Names": ["/slipway-clone-e"], "Labels": its("e")},
                {"Names": ["/web.1"], "Labels": its("d", **{"slipway.service": "s"})},
            ]

    engine: Any = Listing()
    assert await Containers(engine, "slipway").organizations() == {"a", "b", "e"}


@virtual
@pytest.mark.parametrize(
    "change", [{"runs": False}, {"made": "otherwise"}, {"out_of_memory": True}]
)
async def test_one_that_is_not_as_it_should_be_is_made_anew(site: Site, change: dict[str, Any]):
    async with site.running():
        async with site.taken():
            pass
        site.engine.alter(KIT, **change)
        async with site.taken() as buildkit:
            assert site.engine.said.count(f"made {KIT}") == 2
            assert await site.buildkits.ended(buildkit) is None


@virtual
async def test_while_another_build_works_with_it_nothing_is_taken_away(site: Site):
    async with site.running(), site.taken():
        site.engine.alter(KIT, out_of_memory=True)
        async with site.taken() as buildkit:
            assert site.engine.said.count(f"made {KIT}") == 1
            assert await site.buildkits.ended(buildkit) is None, "that was before it began"
            asyncio.get_running_loop().call_later(0.1, site.engine.heard.put_nowait, "org")
            assert await site.buildkits.ended(buildkit) == "memory"
        site.engine.alter(KIT, out_of_memory=False, runs=False)
        assert await site.buildkits.ended(buildkit) == "gone"
        async with site.taken():
            assert site.engine.there[KIT].runs


@virtual
async def test_while_no_event_is_told_the_container_alone_says_it(site: Site):
    async with site.running():
        async with site.taken() as buildkit:
            site.engine.alter(KIT, out_of_memory=True)
            site.engine.heard.put_nowait(None)
            await asyncio.sleep(0.5)
            assert await site.buildkits.ended(buildkit) == "memory", "no event is heard"
            await asyncio.sleep(1)
            assert await site.buildkits.ended(buildkit) == "memory", "one may not have been"
        async with site.taken() as buildkit:
            site.engine.heard.put_nowait("another")
            site.engine.alter(KIT, out_of_memory=True)
            assert await site.buildkits.ended(buildkit) is None


async def test_whose_limit_was_met_is_told_by_the_containers_name():
    def its(name: str, organization: str = "") -> dict[str, Any]:
        marks = {"name": name, "slipway.instance": "slipway"}
        return {"ID": "1", "Attributes": marks | ({"slipway.org": organization})}

    class Telling:
        @asynccontextmanager
        async def container_events(self, events: list[str], marks: list[str]):
            assert (events, marks) == (["oom"], ["slipway.instance=slipway", "slipway.org"])
            yield self.told()

        async def told(self):
            yield its("slipway-build-a", "a")
            yield its("web.1", "b")
            yield its("slipway-build-", "")

    engine: Any = Telling()
    async with Containers(engine, "slipway").met_memory() as heard:
        assert [organization async for organization in heard if organization] == ["a"]


@virtual
async def test_a_new_door_knows_the_organization_and_its_network(site: Site):
    async with site.running():
        async with site.taken():
            pass
        async with site.taken() as buildkit:
            assert await site.buildkits.ended(buildkit) is None
            del site.engine.there[DOOR]
            assert await site.buildkits.ended(buildkit) == "registry"
        async with site.taken():
            assert "/etc/slipway/users/org" in site.engine.files[DOOR]
            assert KIT in site.engine.there[DOOR].networks


@virtual
async def test_who_waits_for_a_registry_that_does_not_come_is_told_why(site: Site):
    site.engine.refuses = EngineAway("port 5001 is taken")
    async with site.running():
        with pytest.raises((NotReady, EngineAway), match="port 5001 is taken"):
            async with site.taken():
                pass


@virtual
async def test_one_that_does_not_begin_is_not_left(site: Site):
    async with site.running():
        await asyncio.sleep(1)
        site.engine.begins = False
        with pytest.raises(NotReady, match="did not begin"):
            async with site.taken():
                pass
        assert KIT not in site.engine.there
        assert KIT in site.engine.volumes, "it may only be slow"


@virtual
async def test_one_that_ends_as_it_begins_loses_its_state(site: Site):
    async with site.running():
        async with site.taken():
            pass
        engine = site.engine
        engine.alter(KIT, runs=False)
        engine.begins, engine.ends = False, True
        with pytest.raises(NotReady, match="empty cache"):
            async with site.taken():
                pass
        assert KIT not in engine.there
        assert KIT not in engine.volumes
        engine.begins, engine.ends = True, False
        async with site.taken():
            assert KIT in engine.volumes


@virtual
async def test_one_that_was_left_as_it_began_is_waited_for(site: Site):
    async with site.running():
        await asyncio.sleep(1)
        site.engine.begins = False
        first = asyncio.create_task(site.taken().__aenter__())
        await asyncio.sleep(1)
        first.cancel()
        second = asyncio.create_task(site.taken().__aenter__())
        await asyncio.sleep(1)
        assert site.engine.said.count(f"made {KIT}") == 1
        assert not second.done(), "it does not listen yet"
        site.engine.begins = True
        await asyncio.sleep(1)
        assert second.done()
