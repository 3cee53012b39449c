"""Who may do what: every operation of the description with every role, and with none."""

from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import uuid4

import pytest
from api_gateway.app import FEATURES
from api_gateway.organizations.domain import MEMBER, Add
from api_gateway.request_context import RequestContext
from api_gateway.roles import PERMISSIONS
from slipway.contracts.organization import Role
from slipway.kernel.envelope import Actor
from slipway.runtime.clock import SystemClock

from tests.contract.test_api import PASSWORD, Platform, bare, platform
from tests.contract.test_bad_input import DESCRIPTION, World, world

_fixtures = (bare, platform, world)
ROLES: tuple[Role, ...] = get_args(Role.__value__)
EVERY = {
    operation["operationId"]: (method.upper(), path)
    for path, item in DESCRIPTION["paths"].items()
    for method, operation in item.items()
}
IN_ORGANIZATION = [name for name, need in FEATURES.needs.items() if need in PERMISSIONS["owner"]]
WITHOUT_END = {"stream_events": "?after=nonsense"}
"""Operation → a query that it refuses, so that it answers at all."""


def test_every_operation_stands_in_the_table_once():
    operations = [
        operation["operationId"]
        for item in DESCRIPTION["paths"].values()
        for operation in item.values()
    ]
    assert sorted(operations) == sorted(FEATURES.needs)
    assert WITHOUT_END.keys() <= FEATURES.needs.keys()
    assert set(PERMISSIONS) == set(ROLES)


async def ask(platform: Platform, name: str, id_: str = "", **headers: str) -> Any:
    """With an empty body where it takes one: enough to be refused for a better reason than the
    role, and to do nothing."""
    method, path = EVERY[name]
    path = path.replace("{id}", id_ or str(uuid4())).replace("{token}", "guess")
    body = {} if method in ("POST", "PUT", "PATCH") else None
    return await platform.call(method, path + WITHOUT_END.get(name, ""), body, **headers)


async def token(platform: Platform, role: Role, **body: Any) -> str:
    return (await platform.ok("POST", "/v1/tokens", {"name": role, "role": role, **body}))["token"]


@pytest.mark.parametrize("name", FEATURES.needs)
async def test_without_a_token_it_is_401(platform: Platform, name: str):
    platform.token = ""
    answer = await ask(platform, name)
    if FEATURES.needs[name] == "nothing":
        assert answer.status_code != 401
        return
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    for authorization in ("Bearer slp_guess", "Bearer ", "Basic eDp5", "slp_guess"):
        assert (await ask(platform, name, Authorization=authorization)).status_code == 401
    platform.http.cookies.set("slipway_session", "guess")
    assert (await ask(platform, name)).status_code == 401


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_what_the_table_says(platform: Platform, role: Role):
    end = await platform.store.last_sequence() + 1
    platform.token = await token(platform, role)
    seen = {name: (await ask(platform, name)).status_code for name in IN_ORGANIZATION}
    allowed = {name for name, status in seen.items() if status != 403}
    assert allowed == {name for name in seen if FEATURES.needs[name] in PERMISSIONS[role]}
    assert not {401, 405, 500} & set(seen.values()), seen
    assert await platform.store.last_sequence() == end


@pytest.mark.parametrize("role", ROLES)
async def test_a_person_has_the_role_of_the_membership(platform: Platform, role: Role):
    await _signed_in(platform)
    made = await platform.ok("POST", "/v1/organizations", {"name": "Other"})
    member = next(
        commit.subject.id for commit in platform.store._log if commit.subject.category == "member"
    )
    ctx = _context(platform, made["id"])
    await platform.gateway.commands.handle(ctx, MEMBER, member, Add(member, role), step="role")
    platform.extra = {"Slipway-Organization": made["id"]}
    seen = {name: (await ask(platform, name)).status_code for name in IN_ORGANIZATION}
    allowed = {name for name, status in seen.items() if status != 403}
    assert allowed == {name for name in seen if FEATURES.needs[name] in PERMISSIONS[role]}


def _context(platform: Platform, organization: str) -> Any:
    return RequestContext(
        id=str(uuid4()),
        actor=Actor("user", "test"),
        at=platform.gateway.clock.now(),
        organization=organization,
    )


async def _signed_in(platform: Platform) -> None:
    platform.token = ""
    await platform.ok("POST", "/v1/sessions", {"email": "ada@example.org", "password": PASSWORD})


@pytest.mark.parametrize(
    "name", [name for name, need in FEATURES.needs.items() if need == "person"]
)
async def test_people_do_what_tokens_cannot(platform: Platform, name: str):
    assert (await ask(platform, name)).status_code == 403
    await _signed_in(platform)
    assert (await ask(platform, name)).status_code not in (401, 403)


@pytest.mark.parametrize(
    "name", [name for name, need in FEATURES.needs.items() if need == "operator"]
)
async def test_the_operator_is_the_first_owner(platform: Platform, name: str):
    owner = platform.token
    assert (await ask(platform, name)).status_code != 403
    for role in ROLES:
        platform.token = owner
        platform.token = await token(platform, role)
        assert ((await ask(platform, name)).status_code != 403) == (role == "owner")
    await _signed_in(platform)
    assert (await ask(platform, name)).status_code != 403


async def test_nobody_gives_a_role_above_their_own(platform: Platform):
    platform.token = await token(platform, "admin")
    for role in ("viewer", "developer", "admin"):
        assert (await platform.call("POST", "/v1/tokens", {"name": "t", "role": role})).is_success
    answer = await platform.call("POST", "/v1/tokens", {"name": "t", "role": "owner"})
    assert answer.status_code == 403


async def test_an_expired_token_opens_nothing(platform: Platform):
    later = platform.gateway.clock.now() + timedelta(hours=1)
    platform.token = await token(platform, "owner", expires_at=later.isoformat())
    assert (await platform.call("GET", "/v1/projects")).is_success
    platform.gateway.clock = Standing(later)
    assert (await platform.call("GET", "/v1/projects")).status_code == 401


class Standing(SystemClock):
    """It is always the same time."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


async def test_a_closed_session_opens_nothing(platform: Platform):
    await _signed_in(platform)
    cookies = dict(platform.http.cookies)
    assert (await platform.call("GET", "/v1/projects")).is_success
    assert (await platform.call("DELETE", "/v1/sessions/current")).status_code == 204
    platform.http.cookies.update(cookies)
    assert (await platform.call("GET", "/v1/projects")).status_code == 401


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://slipway.test"}, True),
        ({"Origin": "https://slipway.test"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
async def test_a_cookie_is_not_for_other_sites(
    platform: Platform, headers: dict[str, str], allowed: bool
):
    await _signed_in(platform)
    answer = await platform.call("POST", "/v1/projects", {"name": "A"}, **headers)
    assert (answer.status_code == 201) == allowed
    assert (await platform.call("GET", "/v1/projects", **headers)).is_success


READS_BY_ID = [
    name
    for name, (method, path) in EVERY.items()
    if method == "GET" and "{id}" in path and not path.startswith("/v1/admin/")
]
"""To the operator no organization is a stranger's."""


@pytest.mark.parametrize("name", READS_BY_ID)
async def test_what_a_stranger_has_is_404(world: World, name: str):
    collection = EVERY[name][1].split("/")[2]
    for id_ in (world.foreign[collection], str(uuid4()), "x'.>*", "%00", "a" * 3000):
        answer = await ask(world.platform, name, id_)
        assert answer.status_code == 404, (id_, answer.text)
    follow = "?follow=false" if name.endswith("_logs") else ""
    path = EVERY[name][1].replace("{id}", world.ids[collection])
    assert (await world.platform.http.get(path + follow, headers=world.headers(name))).is_success


async def test_lists_hold_nothing_of_strangers(world: World):
    lists = ["/v1/projects", "/v1/tokens", "/v1/organizations"]
    for path in lists:
        text = (await world.platform.call("GET", f"{path}?limit=200")).text
        assert not any(id_ in text for id_ in world.foreign.values()), path


async def test_a_stranger_s_organization_is_404(world: World):
    other = world.foreign["organizations"]
    for choice in ({"Slipway-Organization": other}, {"Slipway-Organization": str(uuid4())}):
        for name in IN_ORGANIZATION:
            answer = await ask(world.platform, name, **choice)
            assert answer.status_code == 404, (name, answer.text)
    answer = await world.platform.call("GET", f"/v1/projects?organization={other}")
    assert answer.status_code == 404
