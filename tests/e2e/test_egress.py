"""What a workload reaches beyond its environment: the machine's public entries, and nothing else of
it. How the rules treat the world outside is tried in namespaces, in tests/machines."""

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from slipway.contracts import labels

from tests.e2e.api import Api
from tests.e2e.engine import (
    address_of,
    container_of,
    containers,
    docker,
    eventually,
    inspect,
    settled,
    tasks,
)
from tests.e2e.instance import INSTANCE, MARK, network_of, service
from tests.e2e.reach import gateways, reach, reach_from
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

EGRESS = labels.egress_network(INSTANCE)
ALLOWED = "/v1/admin/egress"


@pytest.fixture(scope="module")
def app(api: Api, environment: str, image: Image) -> Service:
    made = Service(api, environment, source=image.source, **QUICK)
    made.live()
    return made


@pytest.fixture(scope="module")
def neighbour(stranger: Api, image: Image) -> Iterator[Service]:
    """Of another organization."""
    project = stranger.post("/v1/projects", {"name": "neighbours"})
    made = Service(stranger, project["environments"][0]["id"], source=image.source, **QUICK)
    made.live()
    yield made
    stranger.ok("DELETE", f"/v1/projects/{project['id']}")
    stranger.gone(f"/v1/projects/{project['id']}")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of the machine, on all its addresses; whoever connects is answered."""
    with socket.create_server(("", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nmachine")

        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def addresses() -> list[str]:
    """The machine's, of all its devices but the loopback."""
    said = subprocess.run(
        ["ip", "-4", "-o", "addr", "show", "scope", "global"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return re.findall(r"inet ([0-9.]+)", said)


def opened(answers: dict[str, str]) -> set[str]:
    return {target for target, answer in answers.items() if answer.startswith("open")}


def test_of_the_machine_only_the_public_entries_are_open(
    app: Service, port: int, http_address: str
):
    container = settled(app.id)[0]
    here = addresses()
    assert {*gateways()} <= {*here}
    assert inspect("container", container)["NetworkSettings"]["Networks"][EGRESS]["Gateway"] in here
    public = http_address.rpartition(":")[2]
    answers = reach_from(container, [f"{each}:{n}" for each in here for n in (port, public)])
    assert opened(answers) == {f"{each}:{public}" for each in here}, answers
    assert len({answers[f"{each}:{port}"] for each in here}) == 1, "refused alike"


def test_who_has_nothing_to_do_with_it_is_untouched(port: int):
    gateway = inspect("network", "bridge")["IPAM"]["Config"][0]["Gateway"]
    assert opened(reach("bridge", [f"{gateway}:{port}"])) == {f"{gateway}:{port}"}


def test_a_neighbour_on_the_bridge_is_out_of_reach_and_has_no_name_there(
    app: Service, neighbour: Service
):
    theirs = settled(neighbour.id)[0]
    known = inspect("container", theirs)
    task = known["Config"]["Labels"]["com.docker.swarm.task.name"]
    release = known["Config"]["Labels"]["com.docker.swarm.service.name"]
    hosts = [address_of(theirs, EGRESS), address_of(theirs, network_of(neighbour.environment))]
    names = [neighbour.name, task, release, theirs[:12], known["Name"].lstrip("/")]
    answers = reach_from(settled(app.id)[0], [f"{each}:8000" for each in (*hosts, *names)])
    assert opened(answers) == set(), answers


def test_names_of_its_environment_are_still_there(app: Service):
    answers = reach_from(settled(app.id)[0], [f"{app.name}:8000"])
    assert answers[f"{app.name}:8000"].startswith("open: HTTP/1.1 200"), answers


def test_a_program_takes_its_name_for_the_address_at_which_it_is_reached(app: Service):
    container = settled(app.id)[0]
    program = "import socket; print(socket.gethostbyname(socket.gethostname()))"
    found = docker("exec", container, "python", "-c", program)
    assert found == address_of(container, network_of(app.environment))


def test_the_control_network_is_out_of_reach(app: Service):
    nats = container_of(service("nats"))
    address = address_of(nats, labels.control_network(INSTANCE))
    shared = inspect("network", "docker_gwbridge")["Containers"].values()
    bridged = [entry["IPv4Address"].partition("/")[0] for entry in shared if entry["IPv4Address"]]
    targets = [f"{each}:{n}" for each in (address, *bridged) for n in (4222, 8222, 4000, 8000)]
    answers = reach_from(settled(app.id)[0], targets)
    assert opened(answers) == set(), answers


def test_a_workload_sends_no_raw_packets(app: Service):
    program = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"
    done = subprocess.run(
        ["docker", "exec", settled(app.id)[0], "python", "-c", program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "PermissionError" in done.stderr


def test_an_environments_network_alone_leads_nowhere(app: Service, port: int, http_address: str):
    public = http_address.rpartition(":")[2]
    targets = [f"{each}:{n}" for each in addresses() for n in (port, public)]
    assert opened(reach(network_of(app.environment), targets)) == set()


def test_what_the_operator_lets_out_is_open_until_it_is_taken_back(
    api: Api, app: Service, port: int
):
    container = settled(app.id)[0]
    target = f"{gateways()[0]}:{port}"

    def open_now(wanted: bool) -> bool:
        return (opened(reach_from(container, [target])) == {target}) is wanted

    before = api.get(ALLOWED)["allow"]
    try:
        api.ok("PUT", ALLOWED, {"allow": [*before, target]})
        eventually("it is let out", lambda: open_now(True), 30, 1)
    finally:
        api.ok("PUT", ALLOWED, {"allow": before})
    eventually("it is taken back", lambda: open_now(False), 30, 1)
    assert settled(app.id) == [container], "no workload was touched"


def test_a_program_is_not_started_before_the_rules_stand(app: Service):
    former, guard = settled(app.id)[0], container_of(service("guard"))
    docker("pause", guard)
    try:
        _on_the_machine("delete", "table")
        docker("kill", former)
        made = eventually("another task", lambda: [id_ for id_ in tasks(app.id) if id_ != former])
        end = time.monotonic() + 4
        while time.monotonic() < end:
            processes = docker("top", made[0], "-o", "pid,args").splitlines()[1:]
            others = [each for each in processes if "lifeline" not in each]
            assert (bool(processes), others) == (True, []), "lifeline alone, and what it is asked"
            time.sleep(0.2)
        assert not opened(reach(network_of(app.environment), [f"{app.name}:8000"]))
    finally:
        docker("unpause", guard)
    container = settled(app.id)[0]
    assert container == made[0], "it waited, and was not replaced"
    to = [f"{app.name}:8000"]
    eventually("it answers", lambda: opened(reach(network_of(app.environment), to)), 40)
    done = subprocess.run(["docker", "logs", made[0]], capture_output=True, text=True, check=True)
    assert "waits for the rules of the guard" in done.stderr


def _on_the_machine(*words: str) -> None:
    """nft's words about the instance's table, without the guard."""
    image = inspect("service", service("guard"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    argv = ("run", "--rm", "--network", "host", "--cap-add", "NET_ADMIN", "--label", MARK, image)
    docker(*argv, "nft", *words, "inet", f"{INSTANCE}-guard")


def test_the_rules_are_written_again_whatever_became_of_them(app: Service, port: int):
    container, target = settled(app.id)[0], f"{gateways()[0]}:{port}"
    _on_the_machine("delete", "table")
    eventually("they stand", lambda: not opened(reach_from(container, [target])), 15)


def test_an_update_of_the_guard_opens_nothing(app: Service, port: int):
    container, target = settled(app.id)[0], f"{gateways()[0]}:{port}"
    former = container_of(service("guard"))
    docker("service", "update", "--force", "--detach", service("guard"))

    def replaced() -> bool:
        assert not opened(reach_from(container, [target]))
        return former not in containers(f"label=com.docker.swarm.service.name={service('guard')}")

    eventually("the guard is another", replaced, 40, 0.1)
    container_of(service("guard"))
    assert not opened(reach_from(container, [target]))
