"""A BuildKit for each organization: alone, started when it is needed, gone with what it needs."""

import time
import uuid
from typing import Any

import pytest
from slipway.contracts import labels

from tests.e2e.api import Api
from tests.e2e.engine import containers, docker, eventually, inspect
from tests.e2e.instance import INSTANCE
from tests.e2e.repositories import GitServer, run, slow
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]


@pytest.fixture
def app(api: Api, environment: str, git_server: GitServer) -> Service:
    return Service(api, environment, git_server.repository(), **QUICK)


def buildkit_of(image: str) -> str:
    """The container of the organization that `image` is of."""
    return labels.build_network(INSTANCE, image.partition("/")[0])


def test_each_has_its_own_network_volume_and_limits(
    app: Service, stranger: Api, git_server: GitServer
):
    app.repository.behave("one")
    mine = buildkit_of(app.live()["image"])
    made = stranger.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
    other = Service(stranger, made["environments"][0]["id"], git_server.repository(), **QUICK)
    other.repository.behave("two")
    theirs = buildkit_of(other.live()["image"])
    assert mine != theirs
    for name in (mine, theirs):
        found = inspect("container", name)
        assert list(found["NetworkSettings"]["Networks"]) == [name]
        mounts = {mount["Name"]: mount["RW"] for mount in found["Mounts"]}
        assert mounts == {name: True, f"{INSTANCE}_lifeline": False}
        host = found["HostConfig"]
        assert (host["Memory"], host["PidsLimit"]) == (3 << 30, 2048)
        assert 0 < host["CpuShares"] < 1024, "less than what the engine gives to all others"
        assert not host["PortBindings"]
        assert not host["Privileged"]
        assert not any(bind.endswith("docker.sock") for bind in host["Binds"] or ())


def test_a_cache_mount_is_not_shared(app: Service, stranger: Api, git_server: GitServer):
    cache = f"e2e-{uuid.uuid4().hex}"
    step = f"RUN --mount=type=cache,target=/c,id={cache} ls /c; {{}} echo $(date +%N) > /c/file"
    app.repository.behave("one", step.format(""))
    app.live()
    made = stranger.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
    other = Service(stranger, made["environments"][0]["id"], git_server.repository(), **QUICK)
    other.repository.behave("two", step.format("test ! -e /c/file &&"))
    other.live()
    app.repository.behave("three", step.format("test -e /c/file &&"))
    app.live()


@pytest.mark.parametrize("what", ["buildkit", "registry", "door"])
def test_what_is_killed_in_the_middle_of_a_build(api: Api, app: Service, what: str):
    app.repository.behave("one")
    buildkit = buildkit_of(app.live()["image"])
    names = {
        "buildkit": buildkit,
        "registry": labels.registry_container(INSTANCE),
        "door": labels.registry_door(INSTANCE),
    }
    app.repository.behave("two", slow(4))
    deployment = app.deploy()
    api.until(deployment, "building")
    eventually("the slow step runs", lambda: "time.sleep" in api.logs(deployment))
    docker("kill", names[what])
    api.until(deployment, "live")
    log = api.logs(deployment)
    assert "does not know" not in log
    if what == "buildkit":
        assert "BuildKit ended in the middle of the build; once more" in log


def test_the_builders_death_leaves_no_program_in_it(api: Api, app: Service):
    app.repository.behave("one")
    buildkit = buildkit_of(app.live()["image"])
    app.repository.behave("two", slow(20))
    deployment = app.deploy()
    eventually("the slow step runs", lambda: "time.sleep" in api.logs(deployment))
    (builder,) = containers(f"label=com.docker.swarm.service.name={INSTANCE}_builder")
    docker("kill", builder)
    eventually("another builder", lambda: containers(
        f"label=com.docker.swarm.service.name={INSTANCE}_builder"
    ) not in ([], [builder]))  # fmt: skip

    def clients() -> list[str]:
        listed = docker("top", buildkit, "-o", "pid,args").splitlines()
        return [line for line in listed if "dial-stdio" in line]

    eventually("one client, of the second attempt", lambda: len(clients()) == 1, 30)
    api.until(deployment, "live", patient=True)
    eventually("none after it", lambda: clients() == [], 10)


def test_memory_is_named(app: Service):
    code = "held = []\nwhile True: held.append(bytearray(64 << 20))"
    app.repository.behave("one", run(code, uuid.uuid4().hex))
    error = app.failed()["error"]
    assert error["reason"] == "build-memory-limit", error
    assert "3072 MiB" in error["detail"]


def test_processes_are_named(app: Service):
    begin = "threading.Thread(target=time.sleep, args=(5,), daemon=True).start()"
    code = f"import threading, time\nfor _ in range(4000): {begin}"
    app.repository.behave("one", run(code, uuid.uuid4().hex))
    error = app.failed()["error"]
    assert error["reason"] == "build-process-limit", error
    assert "2048" in error["detail"]


def test_what_the_operator_gives_an_organization_holds(
    api: Api, stranger: Api, git_server: GitServer
):
    organization = stranger.get("/v1/organizations")["items"][0]["id"]
    limits = f"/v1/admin/organizations/{organization}/limits"
    made = stranger.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
    app = Service(stranger, made["environments"][0]["id"], git_server.repository(), **QUICK)
    writes = "import os\nfile = open('/large', 'wb')\nwhile True: file.write(os.urandom(1 << 20))"
    app.repository.behave("one", run(writes, uuid.uuid4().hex))
    api.ok("PUT", limits, {"memory": "1g", "disk": "1g"})
    try:
        error = app.failed()["error"]
        assert error["reason"] == "build-disk-limit", error
        assert "1024 MiB" in error["detail"]
        found = inspect("container", labels.build_network(INSTANCE, organization))
        assert found["HostConfig"]["Memory"] == 1 << 30
    finally:
        api.ok("PUT", limits, {})


def test_two_builds_of_one_organization_leave_room_for_another(
    api: Api, environment: str, stranger: Api, git_server: GitServer
):
    held: list[tuple[Any, str]] = []
    for _ in range(3):
        app = Service(api, environment, git_server.repository(), **QUICK)
        app.repository.behave("slow", slow(60))
        held.append((app, app.deploy()))
    eventually("two are built", lambda: sum(
        api.get(f"/v1/deployments/{id_}")["status"] == "building" for _, id_ in held) == 2
    )  # fmt: skip
    made = stranger.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
    other = Service(stranger, made["environments"][0]["id"], git_server.repository(), **QUICK)
    other.repository.behave("two")
    began = time.monotonic()
    other.live()
    assert time.monotonic() - began < 45
    for _, id_ in held:
        api.post(f"/v1/deployments/{id_}/cancel", {})
