"""Which deployments are open, and when their holder is called silent."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from api_gateway.deployments.domain import Stopped
from api_gateway.deployments.open import Open, OpenDeployments
from api_gateway.deployments.react import Course, Ending, _judge, ending_of, overdue
from api_gateway.deployments.request import limits_of
from slipway.contracts.build import BuildFailed, BuildStarted, BuildSucceeded
from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentRequested,
    DeploymentSucceeded,
    Limits,
    Trigger,
)
from slipway.contracts.event import Event
from slipway.contracts.rollout import Reverting, RolloutCancelled, RolloutState
from slipway.contracts.values import (
    ApplicationSettings,
    Failure,
    HealthCheck,
    ImageSource,
    Runtime,
    Specification,
)
from slipway.eventstore.memory import MemoryStore
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.readmodel.model import Away, Page
from slipway.testing.releases import BUILT as WORKLOADS
from slipway.testing.releases import SEALED, release

from tests.unit.api_gateway import newer

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HERE: dict[str, Any] = {"kind": "application", "service": "s1", "environment": "e1"}
LIMITS = Limits(queue=60, build=100, rollout=200, route=50)


async def append(store: MemoryStore, category: str, id_: str, event: Event, after: int) -> Commit:
    subject = Subject("o1", category, id_)
    head = await store.head(subject)
    meta = Meta(
        f"{id_}-{category}-{after}-{event.type}",
        AT + timedelta(seconds=after),
        Actor("service", "t"),
        "c",
    )
    return await store.append(subject, head.head if head else NOTHING, [event], meta)


def started(attempt: int = 1) -> BuildStarted:
    return BuildStarted(**HERE, attempt=attempt, deadline="2026-01-02T04:00:00Z")


def rolling(until: float, *, ready: bool = False, deployment: str = "d1") -> RolloutState:
    deadline = (AT + timedelta(seconds=until)).isoformat()
    return RolloutState(wanted=release(deployment), ready=ready, deadline=deadline)


def undoing(until: float) -> RolloutState:
    state = rolling(until)
    reverting = Reverting(outcome="failed", deadline=state.deadline or "")
    return state.model_copy(update={"reverting": reverting})


BUILT = BuildSucceeded(**HERE, workloads=WORKLOADS, sealed=SEALED)


@pytest.mark.parametrize(
    ("build", "rollout", "due", "blamed"),
    [
        ((), RolloutState(), 60, "builder"),
        # What holds a build up may take half an hour, which is more than the whole here.
        (((2, started()),), RolloutState(), 470, "builder"),
        (((2, started()), (12, BUILT)), RolloutState(), 12 + 340, "deployer"),
        (((2, started()), (12, BUILT)), rolling(230), 230 + 60, "deployer"),
        (((2, started()), (12, BUILT)), rolling(70, ready=True), 70 + 60, "proxy-sync"),
        (((2, started()), (12, BUILT)), rolling(70, deployment="d0"), 12 + 340, "deployer"),
        # Undoing has its own time, whatever is left of the whole.
        (((90, started()), (400, BUILT)), undoing(1100), 1100 + 60, "deployer"),
        # Whatever the phases say: 60 + 100 + 200 + 50, and a minute.
        (((90, started()), (400, BUILT)), rolling(9000), 470, "deployer"),
    ],
)
async def test_who_is_silent_for_too_long_is_named(
    build: tuple[tuple[int, Event], ...], rollout: RolloutState, due: float, blamed: str
):
    store = MemoryStore()
    commits = [await append(store, "build", "d1", event, after) for after, event in build]
    course = Course("d1", AT, LIMITS, commits, rollout)
    late = AT + timedelta(seconds=due)
    assert overdue(course, late) is None
    assert overdue(course, late + timedelta(seconds=1)) == blamed


@pytest.mark.parametrize("again", [(), ((50, started(2)),)])
async def test_a_build_may_be_held_up_for_half_an_hour(again: tuple[tuple[int, Event], ...]):
    store, limits = MemoryStore(), LIMITS.model_copy(update={"rollout": 9000.0})
    build = ((2, started()), *again)
    commits = [await append(store, "build", "d1", event, after) for after, event in build]
    course = Course("d1", AT, limits, commits, RolloutState())
    late = AT + timedelta(seconds=2 + limits.build + 1800 + 30)
    assert overdue(course, late) is None
    assert overdue(course, late + timedelta(seconds=1)) == "builder"


async def test_what_has_an_outcome_is_not_overdue_until_its_end_should_be_there():
    store = MemoryStore()
    failure = Failure(reason="r", detail="d")
    failed = await append(store, "build", "d1", BuildFailed(**HERE, failure=failure), 5)
    built = await append(store, "build", "d2", BUILT, 5)
    serving, rolled_at = RolloutState(serving=release("d2")), AT + timedelta(seconds=600)
    for course, outcome in (
        (Course("d1", AT, LIMITS, [failed], RolloutState()), 5),
        (Course("d2", AT, LIMITS, [built], serving, rolled_at), 600),
    ):
        due = AT + timedelta(seconds=outcome + 180)
        assert overdue(course, due) is None
        assert overdue(course, due + timedelta(seconds=1)) == "api-gateway"


async def test_what_the_deployer_gave_up_before_anybody_asked_was_cancelled():
    """It heard of the service's deletion itself; nothing has taken its place."""
    event = RolloutCancelled(
        kind="application", service="s1", deployment="d1", state=RolloutState()
    )
    commit = await append(MemoryStore(), "rollout", "s1", event, 5)
    assert ending_of(commit, event) == Ending("d1", Stopped(otherwise="cancelled"))


class Views:
    """The read models as far as open deployments are looked up in them."""

    def __init__(self, held: int, *ids: str, away: bool = False) -> None:
        self._held, self._ids, self._away = held, ids, away

    async def held(self) -> int:
        if self._away:
            raise Away("away")
        return self._held

    async def find(self, _collection: str, _where: Any, **_: Any) -> Page:
        documents = [
            {"_id": id_, "org": "o1", "first": 1, "state": {"service": "s1"}} for id_ in self._ids
        ]
        return Page(documents, None)


async def request(store: MemoryStore, id_: str, service: str = "s1") -> Commit:
    settings = ApplicationSettings(source=ImageSource(image="nginx"))
    event = DeploymentRequested(
        project="p1", environment="e1", service=service, kind="application",
        specification=Specification(name="web", settings=settings), trigger=Trigger(kind="manual"),
    )  # fmt: skip
    return await append(store, "deployment", id_, event, 0)


def open_deployments(store: MemoryStore, views: Views) -> OpenDeployments:
    return OpenDeployments(store, views, views)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("views", [Views(0), Views(0, away=True)], ids=["empty", "away"])
async def test_open_is_what_has_not_ended_in_the_order_of_requests(views: Views):
    store = MemoryStore()
    found = open_deployments(store, views)
    for id_ in ("d2", "d1", "d3"):
        await request(store, id_)
    await request(store, "d4", "s2")
    assert [one.id for one in await found.of("s1")] == ["d2", "d1", "d3"]
    ended = DeploymentCancelled(service="s1", kind="application")
    await append(store, "deployment", "d1", ended, 1)
    assert [one.id for one in await found.of("s1")] == ["d2", "d3"]
    assert [one.id for one in await found.everywhere()] == ["d2", "d3", "d4"]
    assert await found.of("s3") == []


async def test_it_begins_with_what_the_views_hold():
    store = MemoryStore()
    first = await request(store, "d1")
    await request(store, "d2")
    found = open_deployments(store, Views(first.sequence, "d1"))
    assert [one.id for one in await found.of("s1")] == ["d1", "d2"]
    live = DeploymentSucceeded(service="s1", kind="application")
    await append(store, "deployment", "d1", live, 1)
    assert [one.id for one in await found.of("s1")] == ["d2"]


async def test_what_only_a_newer_release_can_judge_is_told_once(
    capsys: pytest.CaptureFixture[str],
):
    store, told = MemoryStore(), set[str]()
    await append(store, "deployment", "d1", newer.event_of("deployment"), 0)
    gateway: Any = SimpleNamespace(store=store)
    for _ in range(3):
        await _judge(gateway, Open("o1", "s1", "d1", 1), told)
    assert capsys.readouterr().out.count("a newer release made this deployment") == 1


@pytest.mark.parametrize(
    ("check", "grace", "seconds"),
    [
        (None, None, 600.0),
        (HealthCheck(path="/up"), 30.0, 600.0),
        (HealthCheck(start_period=900.0, interval=10.0, timeout=5.0, retries=4), None, 1080.0),
        (HealthCheck(command=("a",), start_period=0.0, interval=3600.0, retries=2), None, 7330.0),
        (None, 600.0, 720.0),
    ],
)
def test_a_rollout_lasts_as_long_as_its_health_check_and_the_end_of_the_former_let_it(
    check: HealthCheck | None, grace: float | None, seconds: float
):
    runtime = Runtime(health_check=check, stop_grace_seconds=grace)
    settings = ApplicationSettings(source=ImageSource(image="web:1"), runtime=runtime)
    limits = limits_of(Specification(name="web", settings=settings), 1800)
    assert limits == Limits(rollout=seconds)
