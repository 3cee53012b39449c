"""A stack of web, worker, database and migration, changed in every way, under load."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import inspect
from tests.e2e.loads import gap, load_from_outside, unharmed
from tests.e2e.services import Image
from tests.e2e.stacks import Stack, database, web, worker

pytestmark = [pytest.mark.engine, pytest.mark.timeout(150)]

LIGHT = 60.0


@dataclass
class Failing:
    """What ran before, and a deployment whose database never listens. It has three times 13 s for
    it: the other tests run meanwhile."""

    stack: Stack
    first: str
    before: dict[str, list[str]]
    deployment: str


@pytest.fixture(scope="module")
def failing(api: Api, environment: str, image: Image) -> Failing:
    stack = Stack(api, environment, image.name)
    first, before = stack.live()["id"], stack.settled()
    failing = database("failing", listen=600, start_period=13)
    return Failing(stack, first, before, stack.deploy(failing))


@pytest.fixture(scope="module")
def stack(failing: Failing, api: Api, environment: str, image: Image) -> Stack:
    """Of all other tests, each of which leaves it serving."""
    made = Stack(api, environment, image.name)
    made.live()
    return made


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> set[str]:
    """The workloads that have other containers."""
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_a_first_deployment_comes_up_in_order(failing: Failing, version_of: Any):
    stack = failing.stack
    history = stack.api.history(failing.first)
    types = [each["type"] for each in history if each["type"].startswith("rollout.")]
    assert types == [
        "rollout.queued", "rollout.started", "rollout.job_started", "rollout.job_ended",
        "rollout.ready", "rollout.succeeded",
    ]  # fmt: skip
    assert version_of(stack.host) == "first"
    ended = next(each["time"] for each in history if each["type"] == "rollout.job_ended")
    (running,) = failing.before["web"]
    began = inspect("container", running)["State"]["StartedAt"]
    assert datetime.fromisoformat(began) > datetime.fromisoformat(ended)


def test_a_push_of_the_web_alone_touches_nothing_else(stack: Stack, http_address: str):
    before, history = stack.settled(), stack.history()
    with load_from_outside(http_address, stack.host) as load:
        stack.live(web(stack.image, "pushed"), stack.migration("migrated once more"))
        after = stack.settled()
    unharmed(load)
    assert len(load.report["versions"]) == 2, load.report["versions"]
    assert changed(before, after) == {"web"}
    assert stack.history() == [*history, "migrated once more"]


def test_a_database_is_away_only_from_its_end_to_the_next_ones_start(
    stack: Stack, http_address: str
):
    host = f"db-{stack.host}"
    stack.leads("db", host)
    before = stack.settled()
    with load_from_outside(http_address, host) as load:
        stack.live(database("replaced"))
    report = load.report
    refused, new = gap(report), report["versions"].pop("replaced")
    (former,) = report["versions"].values()
    assert former["last"] - refused["first"] < 0.1, report
    assert refused["last"] - new["first"] < 0.1, report
    assert new["first"] - former["last"] < 8, report
    assert changed(before, stack.containers()) == {"db"}


def test_a_rollback_brings_back_what_was_and_carries_what_is_the_same(
    stack: Stack, http_address: str, version_of: Any
):
    to = stack.deploy(web(stack.image, "kept"), database("rolled back to"))
    stack.api.until(to, "live")
    stack.live(database("rolled back from"))
    before, history = stack.settled(), stack.history()
    with load_from_outside(http_address, stack.host) as load:
        stack.api.until(stack.api.rollback(to), "live")
        after = stack.settled()
    unharmed(load)
    assert changed(before, after) == {"db"}
    assert stack.history() == [*history, "rolled back to"], "the data stayed, and no job ran"
    assert version_of(stack.host) == "kept"
    stack.change(database("rolled back to"))  # so that the next test deploys what runs


def test_a_restart_makes_everything_anew_and_runs_no_job(stack: Stack, http_address: str):
    before, history = stack.settled(), stack.history()
    with load_from_outside(http_address, stack.host) as load:
        stack.api.until(stack.api.post(f"{stack.path}/restart")["id"], "live")
        after = stack.settled()
    unharmed(load)
    assert changed(before, after) == {"web", "worker", "db"}
    *former, last = stack.history()
    assert former == history, "no job ran"
    assert not last.startswith("migrated")


def test_one_is_scaled_during_a_rollout(stack: Stack, http_address: str):
    before = stack.settled()
    with load_from_outside(http_address, stack.host) as load:
        deployment = stack.deploy(web(stack.image, "scaled", listen_after=2))
        stack.begun("web")
        for workload in ("worker", "web"):
            stack.api.patch(stack.path, {"replicas": 2, "workload": workload})
        stack.api.until(deployment, "live")
        two = stack.settled(worker=2, web=2)
        assert before["worker"][0] in two["worker"], "the one that ran goes on"
        for workload in ("worker", "web"):
            stack.api.patch(stack.path, {"replicas": 1, "workload": workload})
        stack.settled()
    unharmed(load)
    assert before["db"] == two["db"]


def test_a_workload_is_renamed_and_another_is_removed(
    api: Api, environment: str, image: Image, http_address: str
):
    """It is the volume that makes the former one end first, not the name."""
    stack = Stack(api, environment, image.name)
    stack.live()
    (former,) = stack.settled()["web"]
    renamed = {**database("renamed"), "name": "store", "aliases": [f"{stack.name}-db"]}
    job = stack.migration("migrated under another name")
    job["after"] = [{"workload": "store", "condition": "healthy"}]
    for gone in ("worker", "db"):
        del stack.programs[gone]
    with load_from_outside(http_address, stack.host, rate=LIGHT) as load:
        stack.live(renamed, job)
    unharmed(load, LIGHT * 0.9)
    assert stack.settled()["web"] == [former]
    assert stack.history("store") == [
        "first", "migrated", "renamed", "migrated under another name",
    ]  # fmt: skip


def test_a_stack_of_seven_that_is_the_same_is_not_touched(
    api: Api, environment: str, image: Image, version_of: Any
):
    first = {**web(image.name, "seven"), "after": []}
    stack = Stack(
        api, environment, image.name, first, database("seven"),
        *(worker(f"worker-{number}") for number in range(5)),
    )  # fmt: skip
    stack.live()
    before, services = stack.settled(), _versions(stack)
    began = time.monotonic()
    api.until(stack.deploy(), "live")
    assert time.monotonic() - began < 5, "nothing had to be waited for"
    assert stack.settled() == before
    assert _versions(stack) == services
    assert len(before) == 7
    assert version_of(stack.host) == "seven"


def _versions(stack: Stack) -> dict[str, int]:
    """Changes with every update of a Swarm service."""
    names = [name for found in stack.swarm_services().values() for name in found]
    return {name: inspect("service", name)["Version"]["Index"] for name in names}


def test_a_database_that_fails_after_long_gives_way_to_the_former(
    failing: Failing, http_address: str
):
    stack, before, deployment = failing.stack, failing.before, failing.deployment
    with load_from_outside(http_address, stack.host, rate=LIGHT) as load:
        seen = stack.api.ended(deployment)
        after = stack.settled()
    unharmed(load, LIGHT * 0.9)
    assert (seen["status"], seen["error"]["reason"]) == ("failed", "not-listening"), seen
    assert seen["error"]["detail"].startswith("db: "), seen
    assert changed(before, after) == {"db"}
    assert stack.history() == ["first", "migrated", *["failing"] * 3, "first"]
    end = next(e for e in stack.api.history(deployment) if e["type"] == "rollout.failed")
    assert end["data"]["former"] == "running"
