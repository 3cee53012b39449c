"""Every registered fail point, as it is in the registry: the process dies there, and the deployment
ends as it would have, once, with one release."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
from slipway.contracts.workload import MAIN
from slipway.runtime import failpoints as runtime

from tests.e2e.api import ENDS, Api
from tests.e2e.engine import (
    container_of,
    eventually,
    release_label,
    releases,
    services,
    settled,
)
from tests.e2e.instance import service
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(150)]

PACKAGES = {
    "api-gateway": "api_gateway",
    "builder": "builder",
    "deployer": "deployer",
    "proxy-sync": "proxy_sync",
}
"""Service → its package; a fail point's name begins with the service's."""
UNDONE = "deployer.reverting.appended"
LOST = "deployer.job_started.appended"
JOB_ENDED = "deployer.job_ended.appended"
"""Points that no replacement of a single program passes."""


def registered() -> list[str]:
    """All points: they are registered when the services' modules are imported."""
    for name in PACKAGES.values():
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return sorted(name for name in runtime.REGISTRY if name.partition(".")[0] in PACKAGES)


POINTS = registered()


@pytest.fixture(scope="module")
def app(api: Api, environment: str, image: Image) -> Service:
    """Something serves already, so that the points of a replacement are passed too."""
    made = Service(api, environment, source=image.source, **QUICK)
    made.live()
    settled(made.id)
    return made


@pytest.fixture(scope="module")
def stack(api: Api, environment: str, image: Image) -> tuple[Service, str]:
    """A program that starts after a job, and the deployment that serves: the next one carries the
    program over, and runs the job."""
    job = {"name": "once", "image": image.name, "job": True, "command": ["python", "-c", ""]}
    after = [{"workload": "once", "condition": "completed"}]
    program = {"name": MAIN, "image": image.name, "port": 8000, "after": after, **QUICK}
    made = Service(api, environment, kind="raw", workloads=[program, job])
    return made, made.live()["id"]


@pytest.fixture
def dies(failpoints: Any) -> Callable[[str, Service], str]:
    """Deploys; the deployment, once a process has died of it at the point."""

    def deployment(point: str, app: Service) -> str:
        name = point.partition(".")[0]
        former = container_of(service(name))
        failpoints(name, f"{point}=kill")
        made = app.deploy()
        died = f"the {name} died at {point}"
        eventually(died, lambda: container_of(service(name)) != former, 60)
        return made

    return deployment


def ended_once(app: Service, deployment: str, *once: str) -> None:
    """With the last of these types, and each of them once."""
    types = app.api.types(deployment)
    assert [type_ for type_ in types if type_ in ENDS] == [once[-1]], types
    for type_ in once:
        assert types.count(type_) == 1, f"{type_}: {types}"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_service_that_acts_has_fail_points(name: str):
    assert [point for point in POINTS if point.startswith(f"{name}.")]


@pytest.mark.parametrize("point", sorted({*POINTS} - {UNDONE, LOST, JOB_ENDED}))
def test_a_process_that_dies_there_changes_nothing_of_the_outcome(
    app: Service, dies: Callable[[str, Service], str], point: str
):
    app.changed()
    deployment = dies(point, app)
    app.api.until(deployment, "live", seconds=120, patient=True)
    app.api.ready()
    settled(app.id)
    assert services(release_label(app.id, deployment)) == releases(app.id)
    events = ("build.succeeded", "route.activated", "rollout.succeeded", "deployment.succeeded")
    ended_once(app, deployment, *events)


def test_a_release_that_is_undone_is_undone_once(app: Service, dies: Callable[[str, Service], str]):
    serving = app.shown()["live_deployment"]
    app.patch(command=["python", "-c", "exit(3)"])
    deployment = dies(UNDONE, app)
    app.patch(command=None)
    error = app.api.ended(deployment)["error"]
    assert error["reason"] == "exited", error
    settled(app.id)
    assert services(release_label(app.id, serving)) == releases(app.id)
    ended_once(app, deployment, "rollout.reverting", "rollout.failed", "deployment.failed")


def test_a_job_that_has_ended_does_not_run_again(
    stack: tuple[Service, str], dies: Callable[[str, Service], str]
):
    app, serving = stack
    deployment = dies(JOB_ENDED, app)
    app.api.until(deployment, "live")
    settled(app.id)
    assert services(release_label(app.id, serving)) == releases(app.id), "it was carried over"
    jobs = ("rollout.job_started", "rollout.job_ended")
    ended_once(app, deployment, *jobs, "rollout.succeeded", "deployment.succeeded")


def test_a_job_of_which_nothing_is_known_does_not_run_again(
    stack: tuple[Service, str], dies: Callable[[str, Service], str]
):
    app, serving = stack
    deployment = dies(LOST, app)
    error = app.api.ended(deployment)["error"]
    assert error["reason"] == "job-lost", error
    settled(app.id)
    assert services(release_label(app.id, serving)) == releases(app.id)
    ended_once(app, deployment, "rollout.job_started", "rollout.failed", "deployment.failed")
    assert "rollout.job_ended" not in app.api.types(deployment)
