"""What may happen to projects and environments."""

from typing import Any

import pytest
from api_gateway.projects import domain
from api_gateway.projects.domain import ENVIRONMENT, PROJECT, BeingDeleted
from slipway.contracts import project as facts
from slipway.contracts.event import Event
from slipway.contracts.values import Variable
from slipway.kernel.errors import NotFound

from tests.unit.api_gateway.given import Given

SHOP = facts.ProjectCreated(name="Shop", environment="e1")
LEAVING = facts.ProjectDeletionRequested()
GONE = facts.ProjectDeleted()
PRODUCTION = facts.EnvironmentCreated(project="p1", name="Production")
LEAVING_TOO = facts.EnvironmentDeletionRequested(project="p1")
GONE_TOO = facts.EnvironmentDeleted(project="p1")
ITEMS = (Variable(name="A", value="1"),)
CHANGES = [domain.Rename("Other"), domain.SetVariables(ITEMS)]


def test_a_project_is_made_once():
    made = Given(PROJECT).when(domain.CreateProject("Shop", "e1")).then(SHOP)
    assert (made.phase, made.name, made.environment) == ("active", "Shop", "e1")
    Given(PROJECT, SHOP).when(domain.CreateProject("Other", "e2")).nothing()
    Given(PROJECT, SHOP, LEAVING, GONE).when(domain.CreateProject("Shop", "e1")).nothing()


def test_a_project_is_renamed_to_another_name():
    after = Given(PROJECT, SHOP).when(domain.Rename("B")).then(facts.ProjectRenamed(name="B"))
    assert after.name == "B"
    Given(PROJECT, SHOP).when(domain.Rename("Shop")).nothing()


def test_a_project_has_variables():
    after = (
        Given(PROJECT, SHOP)
        .when(domain.SetVariables(ITEMS))
        .then(facts.ProjectVariablesSet(items=ITEMS))
    )
    assert after.variables == ITEMS
    known = facts.ProjectVariablesSet(items=ITEMS)
    Given(PROJECT, SHOP, known).when(domain.SetVariables(ITEMS)).nothing()


def test_a_project_is_deleted_in_two_steps():
    after = Given(PROJECT, SHOP).when(domain.RequestDeletion()).then(LEAVING)
    assert after.phase == "deleting"
    Given(PROJECT, SHOP, LEAVING).when(domain.RequestDeletion()).nothing()
    assert Given(PROJECT, SHOP, LEAVING).when(domain.FinishDeletion()).then(GONE).phase == "deleted"
    Given(PROJECT, SHOP).when(domain.FinishDeletion()).nothing()
    Given(PROJECT, SHOP, LEAVING, GONE).when(domain.FinishDeletion()).nothing()


@pytest.mark.parametrize("command", CHANGES)
@pytest.mark.parametrize(
    ("facts_", "error"),
    [((), NotFound), ((SHOP, LEAVING), BeingDeleted), ((SHOP, LEAVING, GONE), NotFound)],
)
def test_what_is_not_there_is_not_changed(
    command: Any, facts_: tuple[Event, ...], error: type[NotFound]
):
    Given(PROJECT, *facts_).when(command).refused(error)


def test_what_is_not_there_is_not_deleted():
    Given(PROJECT).when(domain.RequestDeletion()).refused(NotFound)
    Given(PROJECT, SHOP, LEAVING, GONE).when(domain.RequestDeletion()).refused(NotFound)
    Given(ENVIRONMENT).when(domain.RequestDeletion()).refused(NotFound)


def test_an_environment_is_made_once():
    made = Given(ENVIRONMENT).when(domain.CreateEnvironment("p1", "Production")).then(PRODUCTION)
    assert (made.phase, made.project, made.name) == ("active", "p1", "Production")
    Given(ENVIRONMENT, PRODUCTION).when(domain.CreateEnvironment("p1", "B")).nothing()


def test_an_environment_is_changed():
    given = Given(ENVIRONMENT, PRODUCTION)
    renamed = given.when(domain.Rename("Live")).then(facts.EnvironmentRenamed(name="Live"))
    assert renamed.name == "Live"
    given.when(domain.Rename("Production")).nothing()
    set_ = facts.EnvironmentVariablesSet(items=ITEMS)
    assert given.when(domain.SetVariables(ITEMS)).then(set_).variables == ITEMS
    Given(ENVIRONMENT, PRODUCTION, set_).when(domain.SetVariables(ITEMS)).nothing()


def test_an_environment_is_deleted_in_two_steps():
    given = Given(ENVIRONMENT, PRODUCTION)
    assert given.when(domain.RequestDeletion()).then(LEAVING_TOO).phase == "deleting"
    given.when(domain.FinishDeletion()).nothing()
    leaving = Given(ENVIRONMENT, PRODUCTION, LEAVING_TOO)
    leaving.when(domain.RequestDeletion()).nothing()
    assert leaving.when(domain.FinishDeletion()).then(GONE_TOO).phase == "deleted"


@pytest.mark.parametrize("command", CHANGES)
def test_an_environment_that_goes_is_not_changed(command: Any):
    Given(ENVIRONMENT, PRODUCTION, LEAVING_TOO).when(command).refused(BeingDeleted)
    Given(ENVIRONMENT, PRODUCTION, LEAVING_TOO, GONE_TOO).when(command).refused(NotFound)


def test_what_others_say_changes_nothing():
    assert Given(PROJECT, SHOP, PRODUCTION).state == Given(PROJECT, SHOP).state
    assert Given(ENVIRONMENT, PRODUCTION, SHOP).state == Given(ENVIRONMENT, PRODUCTION).state
