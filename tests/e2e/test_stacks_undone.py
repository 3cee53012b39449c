"""A release of a stack that is given up, at each of its steps: the former one is there again, with
its data, whoever dies meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.api import ENDS, Api
from tests.e2e.engine import container_of, containers, eventually
from tests.e2e.instance import service
from tests.e2e.loads import load_from_outside, unharmed
from tests.e2e.services import Image
from tests.e2e.stacks import Stack, database, web

pytestmark = [pytest.mark.engine, pytest.mark.timeout(150)]

LIGHT = 60.0


@pytest.fixture(scope="module")
def stack(api: Api, environment: str, image: Image) -> Stack:
    made = Stack(api, environment, image.name)
    made.live()
    return made


def begun(stack: Stack, listen: float = 1) -> str:
    """A deployment of everything anew, slow in each of its phases."""
    return stack.deploy(
        database("given up", listen=listen),
        stack.migration("migrated", 1),
        {**web(stack.image, "given up", listen_after=1), "settle_seconds": 3},
    )


# -- when it is cancelled ---------------------------------------------------------------------

type Former = dict[str, list[str]]
"""Workload → the Swarm services that there were before."""


def former_ends(stack: Stack, former: Former, _: str) -> bool:
    return stack.replicas(former["db"][0]) == 0


def starts(workload: str) -> Callable[[Stack, Former, str], bool]:
    """A container of its new release is there."""

    def check(stack: Stack, former: Former, _: str) -> bool:
        new = set(stack.swarm_services().get(workload, [])) - set(former.get(workload, []))
        label = "label=com.docker.swarm.service.name="
        return any(containers(f"{label}{swarm_service}") for swarm_service in new)

    return check


def is_asked(stack: Stack, _: Former, deployment: str) -> bool:
    return any(step["name"] == "route" for step in stack.api.deployment(deployment)["steps"])


# -- when the deployer dies -------------------------------------------------------------------


def at_once(*_: Any) -> bool:
    return True


def new_one_ends(stack: Stack, former: Former, _: str) -> bool:
    new = set(stack.swarm_services()["db"]) - set(former["db"])
    return all(stack.replicas(swarm_service) == 0 for swarm_service in new)


@dataclass(frozen=True)
class Case:
    """It is cancelled when it has `reached` a phase; the deployer dies at `point`, which is
    `armed` some time after."""

    reached: Callable[[Stack, Former, str], bool]
    point: str
    armed: Callable[[Stack, Former, str], bool] = at_once


CASES = {
    "the former database ends, and undoing was said": Case(
        former_ends, "deployer.reverting.appended"
    ),
    "the new database starts, and was scaled to 0": Case(starts("db"), "deployer.scale.after"),
    "the migration runs, and the new database was removed": Case(
        starts("migrate"), "deployer.remove.after"
    ),
    "the web starts, and the former database was scaled up": Case(
        starts("web"), "deployer.scale.after", new_one_ends
    ),
    "the web is asked, and it was over": Case(is_asked, "deployer.undone.appended"),
}
PASSED_HERE = {
    "deployer.reverting.appended", "deployer.undone.appended", "deployer.job_started.appended",
}  # fmt: skip
"""Fail points that no deployment passes which goes well, or goes well though its process dies."""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_cancelled_release_is_undone_whoever_dies(
    stack: Stack, failpoints: Any, http_address: str, case: Case
):
    before, history, process = stack.settled(), stack.history(), container_of(service("deployer"))
    former = stack.swarm_services()
    with load_from_outside(http_address, stack.host, rate=LIGHT) as load:
        deployment = begun(stack)
        eventually("the phase", lambda: case.reached(stack, former, deployment), 30, 0.05)
        if case.armed is at_once:
            failpoints("deployer", f"{case.point}=kill")
        stack.api.post(f"/v1/deployments/{deployment}/cancel")
        if case.armed is not at_once:
            eventually("its moment", lambda: case.armed(stack, former, deployment), 30, 0.05)
            failpoints("deployer", f"{case.point}=kill")
        eventually("it died", lambda: container_of(service("deployer")) != process)
        stack.api.until(deployment, "cancelled", seconds=60)
        after = stack.settled()
    unharmed(load, LIGHT * 0.9)
    assert load.report["versions"].keys() == {"first"}, load.report["versions"]
    assert stack.swarm_services() == former
    assert {name for name in before if before[name] != after[name]} == {"db"}
    assert stack.reverting_after(deployment) <= 2
    events = stack.api.history(deployment)
    assert [each["type"] for each in events if each["type"] in ENDS] == ["deployment.cancelled"]
    (end,) = [event for event in events if event["type"] == "rollout.cancelled"]
    assert end["data"]["former"] == "running"
    lines = stack.history()
    assert (lines[: len(history)], lines[-1]) == (history, "first"), "the data is the former's"


def test_a_deployer_that_dies_between_a_fact_and_its_job_does_not_run_it(
    stack: Stack, failpoints: Any
):
    process, before = container_of(service("deployer")), stack.settled()
    failpoints("deployer", "deployer.job_started.appended=kill")
    never = stack.migration("never")
    deployment = stack.deploy(database("first"), web(stack.image, "first"), never)
    eventually("it died", lambda: container_of(service("deployer")) != process)
    seen = stack.api.ended(deployment, 60)
    assert (seen["status"], seen["error"]["reason"]) == ("failed", "job-lost"), seen
    assert stack.settled() == before
    assert "never" not in stack.history()
