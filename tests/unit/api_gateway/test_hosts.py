"""A host belongs to one organization, and rests before another may have it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from api_gateway.domains.domain import HOST, REST, AddRoute, HostTaken, RemoveRoute
from slipway.contracts import host as facts
from slipway.kernel.errors import NotFound

from tests.unit.api_gateway.given import Given

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ADD = AddRoute("d1", "shop.example", "/", "o1", "a1", "e1", None, None, NOW)
CLAIMED = facts.HostClaimed(host="shop.example", organization="o1")


def added(
    domain: str = "d1", path: str = "/", organization: str = "o1", service: str = "a1"
) -> facts.HostRouteAdded:
    return facts.HostRouteAdded(
        domain=domain, host="shop.example", path=path, organization=organization,
        service=service, environment="e1",
    )  # fmt: skip


REMOVED = facts.HostRouteRemoved(domain="d1", service="a1")
RELEASED = facts.HostReleased(until=(NOW + REST).isoformat())


def test_the_first_path_claims_the_host():
    after = Given(HOST).when(ADD).then(CLAIMED, added())
    assert after.organization == "o1"
    assert [(route.domain, route.path) for route in after.routes] == [("d1", "/")]
    Given(HOST, CLAIMED, added()).when(ADD).nothing()


def test_another_path_is_added_to_what_is_claimed():
    command = replace(ADD, domain="d2", path="/api", service="a2")
    after = Given(HOST, CLAIMED, added()).when(command).then(added("d2", "/api", service="a2"))
    assert len(after.routes) == 2


def test_a_path_leads_to_one_service():
    taken = replace(ADD, domain="d2", service="a2")
    Given(HOST, CLAIMED, added()).when(taken).refused(HostTaken, "/path")


def test_a_stranger_does_not_get_it_and_does_not_learn_whose_it_is():
    theirs = replace(ADD, domain="d2", path="/theirs", organization="o2")
    error = Given(HOST, CLAIMED, added()).when(theirs).refused(HostTaken, "/host")
    assert "o1" not in f"{error.detail} {error.hint}"


def test_the_last_path_frees_the_host():
    after = Given(HOST, CLAIMED, added()).when(RemoveRoute("d1", NOW)).then(REMOVED, RELEASED)
    assert after.routes == ()
    both = Given(HOST, CLAIMED, added(), added("d2", "/api"))
    assert len(both.when(RemoveRoute("d1", NOW)).then(REMOVED).routes) == 1


def test_a_freed_host_rests_for_strangers_only():
    free = Given(HOST, CLAIMED, added(), REMOVED, RELEASED)
    theirs = replace(ADD, domain="d2", organization="o2", at=NOW + REST - timedelta(seconds=1))
    free.when(theirs).refused(HostTaken, "/host")
    again = replace(ADD, domain="d2", at=theirs.at)
    free.when(again).then(CLAIMED, added("d2"))
    rested = replace(theirs, at=NOW + REST)
    after = free.when(rested).then(
        facts.HostClaimed(host="shop.example", organization="o2"), added("d2", organization="o2")
    )
    assert after.organization == "o2"


def test_what_is_not_there_is_not_removed():
    Given(HOST).when(RemoveRoute("d1", NOW)).refused(NotFound)
    Given(HOST, CLAIMED, added()).when(RemoveRoute("d2", NOW)).refused(NotFound)
