"""How a deployment is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_gateway.deployments.projections import Timeline
from api_gateway.deployments.read import Deployment, deployment, status, steps
from slipway.contracts import deployment as facts
from slipway.contracts.build import BuildFailed, BuildStarted, BuildSucceeded
from slipway.contracts.deployment import Limits, Trigger
from slipway.contracts.event import Event
from slipway.contracts.rollout import RolloutReady, RolloutStarted, RolloutState, RolloutSucceeded
from slipway.contracts.route import RouteActivated, RouteState
from slipway.contracts.values import BuiltImage, Failure, GitCommit, Step
from slipway.contracts.workload import Built
from slipway.eventstore import codec
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.testing.releases import BUILT as WORKLOADS
from slipway.testing.releases import SEALED

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COMMIT = GitCommit(hash="a" * 40, message="Fix")
FAILURE = Failure(reason="build-failed", detail="it exited with 3", hint="look", lines=("oh",))


def at(seconds: float) -> str:
    return (
        (AT + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def shown_document(phase: str = "open", ended: float = 0.0, **state: Any) -> dict[str, Any]:
    wanted = {
        "phase": phase, "project": "p1", "environment": "e1", "service": "a1", "stop": None,
        "trigger": Trigger(kind="manual").model_dump(mode="json"), "repeats": None, "commit": None,
        "failure": None, "limits": Limits().model_dump(mode="json"), **state,
    }  # fmt: skip
    return {
        "_id": "d1", "created_at": at(0), "updated_at": at(ended), "first": 7,
        "created_by": {"kind": "user", "id": "u1"}, "state": wanted,
    }  # fmt: skip


def commit(category: str, id_: str, seconds: float, *events: Event) -> Commit:
    moment = AT + timedelta(seconds=seconds)
    meta = Meta(f"c{seconds}{category}", moment, Actor("service", "test"), "corr")
    stored = codec.to_bytes(NOTHING, events, meta)
    return codec.from_bytes(str(Subject("o1", category, id_)), int(seconds) + 1, stored)


def folded(*commits: Commit, key: str = "d1") -> dict[str, Any]:
    document = None
    for one in commits:
        if key in Timeline().keys(one):
            document = Timeline().fold(document, one, key)
    assert document is not None
    return document


STARTED = commit(
    "build", "d1", 2,
    BuildStarted(kind="application", service="a1", environment="e1", attempt=1, deadline=at(100)),
)  # fmt: skip
BUILT = commit(
    "build", "d1", 12,
    BuildSucceeded(
        kind="application", service="a1", environment="e1", workloads=WORKLOADS,
        sealed=SEALED, commit=COMMIT,
        steps=(
            Step(name="clone", started=at(2), ended=at(3.5)),
            Step(name="RUN make", started=at(4), ended=at(12), cached=True),
        ),
    ),
)  # fmt: skip
OF: Any = {"service": "a1", "kind": "application"}
ROLLING = commit("rollout", "a1", 13, RolloutStarted(**OF, deployment="d1", state=RolloutState()))
READY = commit("rollout", "a1", 15, RolloutReady(**OF, deployment="d1", state=RolloutState()))
ROUTED = commit("route", "a1", 21, RouteActivated(**OF, deployment="d1", state=RouteState()))


@pytest.mark.parametrize(
    ("commits", "expected"),
    [
        ((), "queued"),
        ((STARTED,), "building"),
        ((STARTED, BUILT), "deploying"),
        ((STARTED, BUILT, ROLLING, READY, ROUTED), "deploying"),
    ],
)
def test_an_open_one_is_where_its_work_is(commits: tuple[Commit, ...], expected: str):
    marks = folded(*commits)["marks"] if commits else {}
    assert status(shown_document(), marks, None) == expected


@pytest.mark.parametrize("phase", ["failed", "cancelled", "superseded", "expired"])
def test_an_ended_one_is_what_it_ended_as(phase: str):
    marks = folded(STARTED, BUILT)["marks"]
    assert status(shown_document(phase), marks, 7) == phase


def test_one_that_succeeded_is_live_until_another_serves():
    assert status(shown_document("succeeded"), {}, 7) == "live"
    assert status(shown_document("succeeded"), {}, 9) == "replaced"
    assert status(shown_document("succeeded"), {}, 3) == "live", "the views lag behind"
    assert status(shown_document("succeeded"), {}, None) == "live", "the views lag behind"


def test_the_steps_of_one_that_is_live():
    timeline = folded(STARTED, BUILT, ROLLING, READY, ROUTED)
    found = steps(shown_document("succeeded", 22), timeline)
    assert [(step["name"], step["seconds"]) for step in found] == [
        ("queue", 2.0),
        ("build", 10.0),
        ("build: clone", 1.5),
        ("build: RUN make", 8.0),
        ("rollout", 2.0),
        ("route", 6.0),
    ]
    assert [step["cached"] for step in found] == [False, False, False, True, False, False]


def test_a_step_that_lasts_has_no_end():
    queue, build = steps(shown_document(), folded(STARTED))
    assert (queue["ended_at"], queue["seconds"]) == (at(2), 2.0)
    assert (build["ended_at"], build["seconds"]) == (None, None)


def test_what_was_cut_off_ended_with_the_deployment():
    (queue,) = steps(shown_document("cancelled", 5), {"marks": {}, "steps": []})
    assert queue["seconds"] == 5.0
    found = steps(shown_document("expired", 30), folded(STARTED, BUILT, ROLLING))
    assert (found[-1]["name"], found[-1]["seconds"]) == ("rollout", 17.0)


def test_what_comes_after_the_end_is_not_its_own():
    ended = commit(
        "deployment",
        "d1",
        22,
        facts.DeploymentSucceeded(kind="application", service="a1"),
    )
    again = commit("route", "a1", 500, RouteActivated(**OF, deployment="d1", state=RouteState()))
    before = folded(STARTED, BUILT, ROLLING, READY, ROUTED, ended)
    assert folded(STARTED, BUILT, ROLLING, READY, ROUTED, ended, again) == before


def test_each_timeline_holds_its_own_deployment():
    both = commit(
        "rollout", "a1", 30,
        RolloutSucceeded(**OF, deployment="d1", state=RolloutState()),
        RolloutStarted(**OF, deployment="d2", state=RolloutState()),
    )  # fmt: skip
    assert set(Timeline().keys(both)) == {"d1", "d2"}
    assert list(folded(both, key="d2")["marks"]) == ["rollout.started"]
    assert list(folded(both, key="d1")["marks"]) == ["rollout.succeeded"]


def test_a_failure_is_shown_with_its_reason_and_what_to_do():
    failed = commit(
        "build", "d1", 9,
        BuildFailed(
            kind="application", service="a1", environment="e1", failure=FAILURE, commit=COMMIT
        ),
    )  # fmt: skip
    document = shown_document("failed", 10, failure=FAILURE.model_dump(mode="json"))
    found = deployment(document, folded(STARTED, failed), None)
    shown = Deployment.model_validate(found)
    assert shown.error is not None
    assert (shown.error.reason, shown.error.hint) == ("build-failed", "look")
    assert shown.commit is not None
    assert shown.commit.message == "Fix"
    assert (shown.status, shown.ended_at, shown.sequence) == ("failed", at(10), 7)
    assert (shown.image, shown.workloads) == (None, [])


def built(*workloads: Built) -> Deployment:
    """Once its build has succeeded."""
    event = BuildSucceeded(**OF, environment="e1", workloads=workloads, sealed=SEALED)
    timeline = folded(STARTED, commit("build", "d1", 12, event))
    return Deployment.model_validate(deployment(shown_document(), timeline, None))


def test_what_it_runs_is_shown_by_workload():
    program = Built(name="main", digest="x", image=BuiltImage(reference="sha256:1"), port=80)
    database = Built(name="db", digest="y", image=BuiltImage(reference="postgres@sha256:2"))
    alone = built(program)
    assert alone.image == "sha256:1"
    assert [each.model_dump() for each in alone.workloads] == [
        {"name": "main", "image": "sha256:1"}
    ]
    both = built(program, database)
    assert both.image is None, "there is no image of them all"
    assert [(each.name, each.image) for each in both.workloads] == [
        ("main", "sha256:1"),
        ("db", "postgres@sha256:2"),
    ]


def test_one_that_was_just_requested_is_shown_without_a_timeline():
    shown = Deployment.model_validate(deployment(shown_document(stop="cancelled"), None, None))
    assert (shown.status, shown.stopping, shown.error) == ("queued", True, None)
    assert (shown.image, shown.workloads) == (None, [])
    assert [step.name for step in shown.steps] == ["queue"]


def test_another_attempt_does_not_begin_anew():
    again = commit(
        "build", "d1", 9,
        BuildStarted(
            kind="application", service="a1", environment="e1", attempt=2, deadline=at(100)
        ),
    )  # fmt: skip
    first = folded(STARTED)["marks"]["build.started"]
    assert folded(STARTED, again)["marks"]["build.started"] == first
