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


POINTS = registered()


@pytest.fixture(scope="module")
def app(api: Api, environment: str, image: Image) -> Service:
    """Something serves already, so that the points of a replacement are passed too."""
    made = Service(api, environment, source=image.source, **QUICK)
    made.live()
    settled(made.id)
    return made


@pytest.mark.parametrize("name", PACKAGES)
def test_a_service_that_acts_has_fail_points(name: str):
    assert [point for point in POINTS if point.startswith(f"{name}.")]


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_there_changes_nothing_of_the_outcome(
    app: Service, failpoints: Any, point: str
):
    name = point.partition(".")[0]
    former = container_of(service(name))
    failpoints(name, f"{point}=kill")
    deployment = app.deploy()
    died = f"the {name} died at {point}"
    eventually(died, lambda: container_of(service(name)) != former, 60)
    app.api.until(deployment, "live", seconds=120, patient=True)
    app.api.ready()
    settled(app.id)
    assert services(release_label(app.id, deployment)) == releases(app.id)
    types = app.api.types(deployment)
    assert [type_ for type_ in types if type_ in ENDS] == ["deployment.succeeded"], types
    for once in ("build.succeeded", "route.activated", "rollout.succeeded"):
        assert types.count(once) == 1, f"{once}: {types}"
