"""Nothing crosses from one environment to another, nor to what the platform itself runs on."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from slipway.contracts import labels

from tests.e2e.api import Api
from tests.e2e.engine import address_of, container_of, containers, inspect, settled
from tests.e2e.instance import CONTROL_NETWORK, INSTANCE, network_of, service
from tests.e2e.reach import bridged, gateways, reach, reach_from
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

TRAEFIK = f"{INSTANCE}-traefik"
INNER_PORTS = {"nats": (4222, 8222), "mongo": (27017,), "api-gateway": (8000,)}
NEIGHBOURS = ["another environment", "another project", "another organization"]


@pytest.fixture(scope="module")
def app(api: Api, environment: str, image: Image) -> Service:
    made = Service(api, environment, source=image.source, **QUICK)
    made.live()
    return made


@pytest.fixture(scope="module")
def neighbours(
    api: Api, stranger: Api, project: dict[str, Any], image: Image
) -> Iterator[dict[str, str]]:
    """For each kind of neighbour its environment, in which something runs."""
    path = f"/v1/projects/{project['id']}/environments"
    environments = {NEIGHBOURS[0]: (api, api.post(path, {"name": "Staging"})["id"])}
    projects = []
    for kind, who in ((NEIGHBOURS[1], api), (NEIGHBOURS[2], stranger)):
        made = who.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
        projects.append((who, f"/v1/projects/{made['id']}"))
        environments[kind] = who, made["environments"][0]["id"]
    running = []
    for who, id_ in environments.values():
        app = Service(who, id_, source=image.source, **QUICK)
        running.append((who, app.deploy()))
    for who, deployment in running:
        who.until(deployment, "live")
    yield {kind: id_ for kind, (_, id_) in environments.items()}
    for who, project_path in projects:
        who.ok("DELETE", project_path)
    for who, project_path in projects:
        who.gone(project_path)


def platform() -> list[str]:
    """Where NATS, MongoDB, the gateway and Traefik's API would answer, by name and address."""
    found = [f"{TRAEFIK}:8080", f"{address_of(TRAEFIK, CONTROL_NETWORK)}:8080"]
    for name, ports in INNER_PORTS.items():
        address = address_of(container_of(service(name)), CONTROL_NETWORK)
        hosts = (name, service(name), address)
        found += [f"{host}:{port}" for host in hosts for port in ports]
    return found


def machine(api_port: str) -> list[str]:
    """What listens on the machine, or beside each other on its bridge, and is for nobody here."""
    ports = (api_port, "4222", "8222", "27017", "8080", "8000", "2377", "7946")
    hosts = [f"{gateway}:{port}" for gateway in gateways() for port in ports]
    inner = (4000, 4222, 8222, 8000, 8080, 27017)
    return hosts + [f"{address}:{port}" for address in bridged() for port in inner]


def running(environment: str) -> str:
    """A container of the environment."""
    return containers(f"label={labels.ENVIRONMENT}={environment}")[0]


def opened(answers: dict[str, str]) -> dict[str, str]:
    return {target: answer for target, answer in answers.items() if answer.startswith("open")}


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_a_service_is_out_of_reach_of(
    app: Service, neighbours: dict[str, str], settings: dict[str, str], kind: str
):
    container = settled(app.id)[0]
    task = address_of(container, network_of(app.environment))
    traefik = address_of(TRAEFIK, network_of(app.environment))
    targets = [f"{app.name}:8000", f"{task}:8000", f"{traefik}:80", f"{traefik}:8080"]
    targets += platform() + machine(settings["SLIPWAY_URL"].rpartition(":")[2])
    answers = reach(network_of(neighbours[kind]), targets)
    assert opened(answers) == {}, f"reached from {kind}"
    by_a_workload = reach_from(running(neighbours[kind]), targets)
    assert opened(by_a_workload) == {}, f"reached by a workload of {kind}"


def test_a_service_is_reached_from_its_own_environment(app: Service):
    task = address_of(settled(app.id)[0], network_of(app.environment))
    answers = reach(network_of(app.environment), [f"{app.name}:8000", f"{task}:8000"])
    assert all(answer.startswith("open: HTTP/1.1 200") for answer in answers.values()), answers


def test_the_platform_is_out_of_reach_of_its_tenants(app: Service, settings: dict[str, str]):
    traefik = address_of(TRAEFIK, network_of(app.environment))
    targets = platform() + machine(settings["SLIPWAY_URL"].rpartition(":")[2])
    for answers in (
        reach(network_of(app.environment), [*targets, f"{traefik}:8080"]),
        reach_from(settled(app.id)[0], [*targets, f"{traefik}:8080"]),
    ):
        assert opened(answers) == {}


def test_the_proxy_in_an_environment_does_not_lead_to_the_api(app: Service):
    traefik = address_of(TRAEFIK, network_of(app.environment))
    answers = reach(network_of(app.environment), [f"{traefik}:4000", f"{traefik}:80"])
    assert not answers[f"{traefik}:4000"].startswith("open: HTTP/1.1 200"), answers
    assert answers[f"{traefik}:80"].startswith("open: HTTP/1.1 404"), answers


def test_the_public_entries_are_for_everybody(app: Service, http_address: str):
    bindings = inspect("container", TRAEFIK)["HostConfig"]["PortBindings"].values()
    ports = {one["HostPort"] for bound in bindings for one in bound if one["HostIp"] != "127.0.0.1"}
    assert http_address.rpartition(":")[2] in ports
    targets = [f"{host}:{port}" for host in gateways() for port in sorted(ports)]
    answers = reach_from(settled(app.id)[0], targets)
    assert opened(answers) == answers
