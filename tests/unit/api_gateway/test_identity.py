"""People, sessions, tokens, organizations and names."""

import pytest
from api_gateway import names
from api_gateway.identity import domain
from api_gateway.names import NAME, NameTaken
from api_gateway.organizations.domain import (
    MEMBER,
    ORGANIZATION,
    Add,
    Create,
    SetVariables,
)
from api_gateway.roles import at_most, may
from slipway.contracts import organization as facts
from slipway.contracts.organization import Role
from slipway.contracts.project import NameClaimed, NameReleased
from slipway.contracts.values import Sealed, Variable
from slipway.kernel.errors import NotFound, Refused

from tests.unit.api_gateway.given import Given

EMAIL = Sealed(key="gateway", text="QQ==")
ADA = facts.UserRegistered(email=EMAIL, email_id="m1", password_hash="h", operator=True)
OPENED = facts.SessionOpened(user="u1", token_hash="h", expires_at="2026-01-02T00:00:00+00:00")
CREATED = facts.TokenCreated(name="ci", role="developer", hash="h", created_by="u1")
MAKE = domain.CreateToken("ci", "developer", "h", "u1", None)
ORGANIZED = facts.OrganizationCreated(name="Acme", key="key")
CLAIMED = NameClaimed(scope="e1", name="web", owner="a1")


def test_a_person_is_registered_once():
    command = domain.Register(EMAIL, "m1", "h", operator=True)
    after = Given(domain.USER).when(command).then(ADA)
    assert (after.email_id, after.operator) == ("m1", True)
    Given(domain.USER, ADA).when(domain.Register(EMAIL, "m2", "x", operator=False)).nothing()


def test_an_address_belongs_to_one():
    claimed = facts.EmailClaimed(user="u1")
    Given(domain.EMAIL).when(domain.ClaimEmail("u1")).then(claimed)
    Given(domain.EMAIL, claimed).when(domain.ClaimEmail("u1")).nothing()
    Given(domain.EMAIL, claimed).when(domain.ClaimEmail("u2")).refused(Refused, "/email")


def test_a_session_is_opened_and_closed():
    command = domain.Open("u1", "h", OPENED.expires_at)
    assert Given(domain.SESSION).when(command).then(OPENED).user == "u1"
    Given(domain.SESSION, OPENED).when(command).nothing()
    given = Given(domain.SESSION, OPENED)
    assert given.when(domain.Close()).then(facts.SessionClosed()).closed
    Given(domain.SESSION, OPENED, facts.SessionClosed()).when(domain.Close()).nothing()
    Given(domain.SESSION).when(domain.Close()).nothing()


def test_a_token_is_made_and_revoked():
    after = Given(domain.TOKEN).when(MAKE).then(CREATED)
    assert (after.name, after.role, after.revoked) == ("ci", "developer", False)
    Given(domain.TOKEN, CREATED).when(MAKE).nothing()
    given = Given(domain.TOKEN, CREATED)
    assert given.when(domain.Revoke()).then(facts.TokenRevoked()).revoked
    Given(domain.TOKEN, CREATED, facts.TokenRevoked()).when(domain.Revoke()).nothing()
    Given(domain.TOKEN).when(domain.Revoke()).nothing()


def test_the_setup_is_completed_once():
    done = facts.SetupCompleted(user="u1", organization="o1")
    command = domain.CompleteSetup("u1", "o1")
    assert Given(domain.INSTALLATION).when(command).then(done).user == "u1"
    Given(domain.INSTALLATION, done).when(command).refused(domain.SetupClosed)


def test_an_organization_is_made_once_and_has_variables():
    assert Given(ORGANIZATION).when(Create("Acme", "key")).then(ORGANIZED).name == "Acme"
    Given(ORGANIZATION, ORGANIZED).when(Create("Other", "key")).nothing()
    items = (Variable(name="A", value="1"),)
    set_ = facts.OrganizationVariablesSet(items=items)
    given = Given(ORGANIZATION, ORGANIZED)
    assert given.when(SetVariables(items)).then(set_).variables == items
    Given(ORGANIZATION, ORGANIZED, set_).when(SetVariables(items)).nothing()
    Given(ORGANIZATION).when(SetVariables(items)).refused(NotFound)


def test_a_member_has_one_role():
    added = facts.MemberAdded(user="u1", role="viewer")
    assert Given(MEMBER).when(Add("u1", "viewer")).then(added).role == "viewer"
    Given(MEMBER, added).when(Add("u1", "viewer")).nothing()
    owner = facts.MemberAdded(user="u1", role="owner")
    assert Given(MEMBER, added).when(Add("u1", "owner")).then(owner).role == "owner"


def _name(owner: str | None = None, former: str | None = None) -> names.NameState:
    return names.NameState(scope="e1", name="web", owner=owner, former=former)


def test_a_name_belongs_to_one_in_its_scope():
    command = names.Claim("e1", "web", "a1")
    assert Given(NAME).when(command).then(CLAIMED).owner == "a1"
    Given(NAME, CLAIMED).when(command).nothing()
    Given(NAME, CLAIMED).when(names.Claim("e1", "web", "a2")).refused(NameTaken, "/name")


def test_a_name_is_taken_over_from_the_one_that_is_named():
    over = names.Claim("e1", "web", "a2", over=_name(owner="a1"))
    theirs = NameClaimed(scope="e1", name="web", owner="a2")
    assert Given(NAME, CLAIMED).when(over).then(theirs).owner == "a2"
    mistaken = names.Claim("e1", "web", "a2", over=_name(owner="a3"))
    Given(NAME, CLAIMED).when(mistaken).refused(NameTaken, "/name")


def test_a_name_is_released_by_its_owner():
    released = NameReleased(owner="a1")
    assert Given(NAME, CLAIMED).when(names.Free("a1")).then(released).owner is None
    Given(NAME, CLAIMED).when(names.Free("a2")).nothing()
    over = names.Claim("e1", "web", "a2", over=_name(former="a1"))
    Given(NAME, CLAIMED, released).when(over).then(NameClaimed(scope="e1", name="web", owner="a2"))
    unseen = names.Claim("e1", "web", "a2")
    Given(NAME, CLAIMED, released).when(unseen).refused(NameTaken, "/name")


def test_a_former_owner_that_took_its_name_back_meanwhile_keeps_it():
    over = names.Claim("e1", "web", "a2", over=_name(former="a1"))
    released = NameReleased(owner="a1")
    Given(NAME, CLAIMED, released, CLAIMED).when(over).refused(NameTaken, "/name")


def test_names_are_compared_without_case():
    assert names.name_id("p1", "Production") == names.name_id("p1", "production")
    assert names.name_id("p1", "a") != names.name_id("p2", "a")


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        ("viewer", {"read"}),
        ("developer", {"read", "write"}),
        ("admin", {"read", "write", "administer"}),
        ("owner", {"read", "write", "administer", "own"}),
    ],
)
def test_each_role_may_what_the_one_below_may_and_more(role: Role, rights: set[str]):
    every = ("read", "write", "administer", "own")
    assert {permission for permission in every if may(role, permission)} == rights
    assert not any(may(None, permission) for permission in every)


def test_nobody_gives_more_than_they_have():
    roles: tuple[Role, ...] = ("viewer", "developer", "admin", "owner")
    for mine, holder in enumerate(roles):
        given = [at_most(role, holder) for role in roles]
        assert given == [index <= mine for index in range(4)]
    assert not at_most("viewer", None)
