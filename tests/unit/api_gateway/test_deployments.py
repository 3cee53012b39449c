"""A deployment ends exactly once, whatever is said of it afterwards."""

from typing import Any

import pytest
from api_gateway.deployments import domain
from api_gateway.deployments.domain import DEPLOYMENT, AlreadyEnded, RequestStop, Stopped
from slipway.contracts import deployment as facts
from slipway.contracts.deployment import Limits, Repeats, Trigger
from slipway.contracts.event import Event
from slipway.contracts.values import (
    ApplicationSettings,
    Failure,
    GitCommit,
    ImageSource,
    Specification,
)
from slipway.kernel.errors import NotFound

from tests.unit.api_gateway.given import Given

SPECIFICATION = Specification(
    name="web", settings=ApplicationSettings(source=ImageSource(image="nginx"))
)
TRIGGER = Trigger(kind="manual")
COMMIT = GitCommit(hash="a" * 40)
REPEATS = Repeats(deployment="d0", whole=False)
FAILURE = Failure(reason="build-failed", detail="it exited with 3", hint="look at the log")
REQUESTED = facts.DeploymentRequested(
    kind="application",
    project="p1",
    environment="e1",
    service="a1",
    specification=SPECIFICATION,
    trigger=TRIGGER,
)
REQUEST = domain.Request("p1", "e1", "a1", SPECIFICATION, TRIGGER)


def stop_asked(reason: Any) -> facts.DeploymentStopRequested:
    return facts.DeploymentStopRequested(kind="application", service="a1", reason=reason)


LATE = Failure(
    reason="expired",
    detail="it did not end within the time it was given",
    hint="look at its log for the step that took long, and deploy again",
)
ENDS: dict[str, Event] = {
    "succeeded": facts.DeploymentSucceeded(kind="application", service="a1", commit=COMMIT),
    "failed": facts.DeploymentFailed(kind="application", service="a1", failure=FAILURE),
    "cancelled": facts.DeploymentCancelled(kind="application", service="a1"),
    "superseded": facts.DeploymentSuperseded(kind="application", service="a1"),
    "expired": facts.DeploymentExpired(kind="application", service="a1", failure=LATE),
}


def test_it_is_requested_once():
    made = Given(DEPLOYMENT).when(REQUEST).then(REQUESTED)
    assert (made.phase, made.service, made.stop) == ("open", "a1", None)
    Given(DEPLOYMENT, REQUESTED).when(REQUEST).nothing()
    Given(DEPLOYMENT, REQUESTED, ENDS["failed"]).when(REQUEST).nothing()


def test_what_is_asked_for_stands_in_the_request():
    command = domain.Request(
        "p1", "e1", "a1", SPECIFICATION, Trigger(kind="rollback", of="d0"),
        repeats=REPEATS, commit=COMMIT, stops_earlier=True, limits=Limits(build=5.0),
    )  # fmt: skip
    (event,) = DEPLOYMENT.decide(command, DEPLOYMENT.initial)
    assert isinstance(event, facts.DeploymentRequested)
    assert (event.repeats, event.commit, event.stops_earlier) == (REPEATS, COMMIT, True)
    assert event.limits.build == 5.0


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_as_its_holder_says(end: str):
    command = {
        "succeeded": domain.Succeed(COMMIT),
        "failed": domain.Fail(FAILURE),
        "cancelled": Stopped(otherwise="cancelled"),
        "superseded": Stopped(),
        "expired": Stopped(otherwise="expired"),
    }[end]
    after = Given(DEPLOYMENT, REQUESTED).when(command).then(ENDS[end])
    assert after.phase == end


@pytest.mark.parametrize("reason", ["cancelled", "superseded", "expired"])
def test_the_reason_of_the_stop_is_the_end(reason: str):
    given = Given(DEPLOYMENT, REQUESTED)
    asked = given.when(RequestStop(reason)).then(stop_asked(reason))  # pyright: ignore[reportArgumentType]
    assert asked.stop == reason
    asked_for = Given(DEPLOYMENT, REQUESTED, stop_asked(reason))
    assert asked_for.when(Stopped(otherwise="superseded")).then(ENDS[reason]).phase == reason


def test_only_the_first_wish_to_stop_counts():
    given = Given(DEPLOYMENT, REQUESTED, stop_asked("cancelled"))
    given.when(RequestStop("superseded")).nothing()
    given.when(RequestStop("cancelled", strict=True)).nothing()


def test_who_succeeded_before_it_heard_has_succeeded():
    given = Given(DEPLOYMENT, REQUESTED, stop_asked("cancelled"))
    assert given.when(domain.Succeed(COMMIT)).then(ENDS["succeeded"]).phase == "succeeded"


def test_what_the_silent_holder_is_blamed_for_is_kept():
    silent = Failure(reason="expired", detail="the builder did not answer")
    after = (
        Given(DEPLOYMENT, REQUESTED)
        .when(Stopped(silent, "expired"))
        .then(facts.DeploymentExpired(kind="application", service="a1", failure=silent))
    )
    assert after.failure == silent


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "command",
    [
        domain.Succeed(COMMIT),
        domain.Fail(FAILURE),
        Stopped(),
        Stopped(otherwise="cancelled"),
        RequestStop("superseded"),
    ],
)
def test_there_is_one_end(end: str, command: Any):
    Given(DEPLOYMENT, REQUESTED, ENDS[end]).when(command).nothing()


@pytest.mark.parametrize("end", ENDS)
def test_who_asks_by_hand_hears_that_it_has_ended(end: str):
    given = Given(DEPLOYMENT, REQUESTED, ENDS[end])
    given.when(RequestStop("cancelled", strict=True)).refused(AlreadyEnded)


@pytest.mark.parametrize(
    "command",
    [RequestStop("cancelled"), domain.Succeed(None), domain.Fail(FAILURE), Stopped()],
)
def test_what_was_never_requested_does_not_end(command: Any):
    Given(DEPLOYMENT).when(command).refused(NotFound)
