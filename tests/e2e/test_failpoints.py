"""Every registered fail point, as it is in the registry: the process dies there, and the deployment
is live all the same, with one end and one release."""

import importlib
import pkgutil
from typing import Any

import pytest
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
from tests.e2e.stacks import Stack, database, web
from tests.e2e.test_stacks_undone import PASSED_HERE

pytestmark = [pytest.mark.engine, pytest.mark.timeout(150)]

PACKAGES = {
    "api-gateway": "api_gateway",
    "builder": "builder",
    "deployer": "deployer",
    "proxy-sync": "proxy_sync",
}
"""Service → its package; a fail point's name begins with the service's."""


def registered() -> list[str]:
    """All points: they are registered when the services' modules are imported."""
    for name in PACKAGES.values():
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return sorted(name for name in runtime.REGISTRY if name.partition(".")[0] in PACKAGES)


POINTS = [point for point in registered() if point not in PASSED_HERE]
OF_STACKS = [point for point in POINTS if point.startswith("deployer.")]


@pytest.fixture(scope="module")
def app(api: Api, environment: str, image: Image) -> Service:
    """Something serves already, so that the points of a replacement are passed too."""
    made = Service(api, environment, source=image.source, **QUICK)
    made.live()
    settled(made.id)
    return made


@pytest.fixture(scope="module")
def stack(api: Api, environment: str, image: Image) -> Stack:
    made = Stack(api, environment, image.name)
    made.live()
    return made


@pytest.mark.parametrize("name", PACKAGES)
def test_a_service_that_acts_has_fail_points(name: str):
    assert [point for point in POINTS if point.startswith(f"{name}.")]


@pytest.mark.parametrize("point", [point for point in POINTS if point not in OF_STACKS])
def test_a_process_that_dies_there_changes_nothing_of_the_outcome(
    app: Service, failpoints: Any, point: str
):
    name = point.partition(".")[0]
    former = container_of(service(name))
    failpoints(name, f"{point}=kill")
    app.changed()
    deployment = app.deploy()
    died = f"the {name} died at {point}"
    eventually(died, lambda: container_of(service(name)) != former, 60)
    app.api.until(deployment, "live", seconds=120, patient=True)
    app.api.ready()
    settled(app.id)
    assert services(release_label(app.id, deployment)) == releases(app.id)
    once(app.api, deployment, "build.succeeded", "route.activated", "rollout.succeeded")


@pytest.mark.parametrize("point", OF_STACKS)
def test_a_deployer_that_dies_there_changes_nothing_of_the_outcome_of_a_stack(
    stack: Stack, failpoints: Any, point: str
):
    """All of it is replaced: the database is stopped first, and the migration runs."""
    before, former = stack.history(), container_of(service("deployer"))
    failpoints("deployer", f"{point}=kill")
    deployment = stack.deploy(
        database(point), web(stack.image, point), stack.migration(f"migrated at {point}")
    )
    died = f"the deployer died at {point}"
    eventually(died, lambda: container_of(service("deployer")) != former, 60)
    stack.api.until(deployment, "live")
    stack.settled()
    assert stack.history() == [*before, point, f"migrated at {point}"]
    once(stack.api, deployment, "rollout.job_started", "rollout.job_ended", "rollout.succeeded")


def once(api: Api, deployment: str, *facts: str) -> None:
    """Each of the facts, and one end."""
    types = api.types(deployment)
    assert [type_ for type_ in types if type_ in ENDS] == ["deployment.succeeded"], types
    assert [types.count(fact) for fact in facts] == [1] * len(facts), types
