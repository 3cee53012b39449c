"""Names and ports belong to one service, also where a request that has claimed some is refused,
sent again, or comes late."""

from typing import Any

import pytest
from api_gateway import ports
from api_gateway.deployments import carried
from api_gateway.ports import PORT, Claim, PortState, PortTaken, Release
from api_gateway.request_context import RequestContext
from slipway.contracts.values import PublishedPort
from slipway.kernel.envelope import INSTALLATION, Actor
from slipway.kernel.ids import value_id

from tests.contract.test_api import Platform, bare, platform
from tests.contract.test_api_promises import _deployed
from tests.contract.test_raw import tested

_fixtures = (bare, platform, tested)
IMAGE = {"kind": "image", "image": "nginx"}
TCP = {"port": 80, "published": 8080}
ON_HOST = PublishedPort(port=80, published=8080)
WEB = {"name": "web", "image": "nginx", "port": 80}
KEY = {"Idempotency_Key": "once"}


async def _services(platform: Platform) -> str:
    project = await platform.ok("POST", "/v1/projects", {"name": "Shop"})
    return f"/v1/environments/{project['environments'][0]['id']}/services"


def _application(name: str, **said: Any) -> dict[str, Any]:
    return {"kind": "application", "name": name, "source": IMAGE, **said}


def _context(platform: Platform, id_: str) -> RequestContext:
    """Of a request with an Idempotency-Key."""
    now = platform.gateway.clock.now()
    return RequestContext(id_, Actor("user", "u"), now, platform.organization, keyed=True)


async def _claimed(platform: Platform, id_: str, service: str) -> None:
    """By a request of that id."""
    ctx, commands = _context(platform, id_), platform.gateway.commands
    holds = carried.port_holders(platform.gateway)
    found = await ports.free(commands, ctx, service, [(None, ON_HOST)], holds, ())
    await ports.claim(commands, ctx, found)


async def _released(platform: Platform, id_: str, service: str) -> None:
    ctx, command = _context(platform, id_), Release(service, await _port(platform))
    commands, port = platform.gateway.commands, value_id("port", ON_HOST.on_host)
    await commands.handle(ctx, PORT, port, command, organization=INSTALLATION)


async def _port(platform: Platform) -> PortState:
    id_ = value_id("port", ON_HOST.on_host)
    return await platform.gateway.commands.state(PORT, INSTALLATION, id_)


# -- sent again after it was refused --------------------------------------------------------------


async def test_what_was_given_back_is_claimed_again(tested: Platform):
    path = await _services(tested)
    beside = await tested.ok("POST", path, _application("shop-web"))
    stack = {"kind": "raw", "name": "shop", "workloads": [WEB]}
    assert (await tested.call("POST", path, stack, **KEY)).status_code == 409
    await tested.ok("PATCH", f"/v1/services/{beside['id']}", {"name": "blog"})
    made = await tested.call("POST", path, stack, **KEY)
    assert made.status_code == 201, made.text
    for name in ("shop", "shop-web"):
        taken = await tested.call("POST", path, _application(name))
        assert taken.status_code == 409, f"{name} leads to two"


async def test_a_port_that_another_had_meanwhile_is_claimed_again(platform: Platform):
    await _claimed(platform, "r1", "a")
    await _released(platform, "r2", "a")
    await _claimed(platform, "r3", "b")
    await _released(platform, "r4", "b")
    await _claimed(platform, "r1", "a")
    assert (await _port(platform)).service == "a"


# -- sent again after it was carried out ----------------------------------------------------------


async def test_a_late_repeat_changes_nothing(platform: Platform):
    path = await _services(platform)
    made = await platform.ok("POST", path, _application("web"))
    service = f"/v1/services/{made['id']}"
    said = {"name": "shop", "ports": [TCP]}
    first = await platform.call("PATCH", service, said, **KEY)
    assert first.status_code == 200
    await platform.ok("PATCH", service, {"name": "site", "ports": []})
    other = await platform.ok("POST", path, _application("other", ports=[TCP]))
    again = await platform.call("PATCH", service, said, **KEY)
    assert again.status_code == 200, again.text
    taken = await platform.call("POST", path, _application("site"))
    assert taken.status_code == 409, "two services have one name"
    assert (await _port(platform)).service == other["id"]


async def test_a_late_repeat_that_would_be_refused_by_now(platform: Platform):
    service = f"/v1/services/{(await platform.service())['id']}"
    assert (await platform.call("PATCH", service, {"replicas": 2}, **KEY)).status_code == 200
    volume = {"kind": "volume", "name": "data", "path": "/data"}
    await platform.ok("PATCH", service, {"mounts": [volume], "replicas": 1})
    again = await platform.call("PATCH", service, {"replicas": 2}, **KEY)
    assert (again.status_code, again.json().get("replicas")) == (200, 1), again.text
    other = await platform.call("PATCH", service, {"replicas": 3}, **KEY)
    assert other.status_code == 422, "another request by the same key"


async def test_a_late_repeat_of_an_environment_s_renaming(platform: Platform):
    project = await platform.ok("POST", "/v1/projects", {"name": "Shop"})
    path = f"/v1/environments/{project['environments'][0]['id']}"
    assert (await platform.call("PATCH", path, {"name": "A"}, **KEY)).status_code == 200
    await platform.ok("PATCH", path, {"name": "B"})
    assert (await platform.call("PATCH", path, {"name": "A"}, **KEY)).status_code == 200
    more = f"/v1/projects/{project['id']}/environments"
    assert (await platform.call("POST", more, {"name": "B"})).status_code == 409


async def test_a_late_repeat_of_a_project_s_making(platform: Platform):
    project = await platform.call("POST", "/v1/projects", {"name": "Shop"}, **KEY)
    first = project.json()["environments"][0]
    await platform.ok("PATCH", f"/v1/environments/{first['id']}", {"name": "Live"})
    more = f"/v1/projects/{project.json()['id']}/environments"
    await platform.ok("POST", more, {"name": "Production"})
    again = await platform.call("POST", "/v1/projects", {"name": "Shop"}, **KEY)
    assert again.status_code == 201, again.text


# -- two requests at once -------------------------------------------------------------------------


async def test_a_port_that_is_said_again_is_claimed_again(platform: Platform):
    """Whoever saw before that it was about to be free does not get it."""
    path = await _services(platform)
    made = await platform.ok("POST", path, _application("db", ports=[TCP]))
    before = await _port(platform)
    await platform.ok("PATCH", f"/v1/services/{made['id']}", {"ports": [TCP]})
    late = Claim(ON_HOST.on_host, platform.organization, "other", "r9", before)
    with pytest.raises(PortTaken):
        await ports.claim(platform.gateway.commands, _context(platform, "r9"), [late])


async def test_a_port_that_a_rollback_has_is_claimed_again(platform: Platform):
    service = await platform.service(ports=[TCP])
    first = await _deployed(platform, service)
    before = await _port(platform)
    await platform.ok("POST", f"/v1/deployments/{first}/rollback")
    late = Claim(ON_HOST.on_host, platform.organization, "other", "r9", before)
    with pytest.raises(PortTaken):
        await ports.claim(platform.gateway.commands, _context(platform, "r9"), [late])


# -- the platform's own ---------------------------------------------------------------------------


@pytest.mark.parametrize("published", [80, 443, 4000, 5000])
async def test_the_platform_s_own_ports_are_nobody_else_s(platform: Platform, published: int):
    path = await _services(platform)
    port = {"port": 80, "published": published}
    taken = await platform.call("POST", path, _application("web", ports=[TCP, port]))
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/port-taken"), taken.text
    assert taken.json()["errors"][0]["pointer"] == "/ports/1/published"
    assert "the platform" in taken.json()["detail"]
    udp = {"port": 80, "published": published, "protocol": "udp"}
    await platform.ok("POST", path, _application("web", ports=[udp]))
