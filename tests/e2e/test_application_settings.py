"""What an application is given beside its image: files, volumes, ports of the host, a user, and
commands that run before it."""

import http.client
import uuid
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import docker, eventually, inspect, tasks
from tests.e2e.instance import INSTANCE
from tests.e2e.loads import gap, load_from_outside
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

PYTHON = {"kind": "image", "image": "python:3.13-slim"}
SERVES = ["python3", "-m", "http.server", "--directory", "/data", "8000"]
DATA = {"kind": "volume", "name": "data", "path": "/data"}
SECRET = "hunter2\r\n{{.Service.Name}} ${{NAME}} ä"

READS = "print(ascii(open('/etc/app/secret', newline='').read()))"


def writes(path: str, text: str) -> list[str]:
    """A line more, so that a second run is seen."""
    return ["python3", "-c", f"open({path!r}, 'a').write({text!r} + chr(10))"]


def service(api: Api, environment: str, **body: Any) -> Service:
    return Service(
        api, environment, source=PYTHON, **{**QUICK, "port": 8000, "command": SERVES, **body}
    )


def inside(of: Service, *argv: str) -> str:
    (container,) = tasks(of.id)
    return docker("exec", container, *argv)


def files_of(of: Service) -> list[str]:
    marks = (f"slipway.instance={INSTANCE}", f"slipway.service={of.id}")
    flags = [flag for mark in marks for flag in ("--filter", f"label={mark}")]
    return docker("secret", "ls", "-q", *flags).split()


def test_what_migrates_does_so_before_the_release_and_on_a_deploy_alone(
    api: Api, environment: str, http_get: Any
):
    init = [writes("/data/one", "first"), writes("/data/two", "second")]
    found = service(api, environment, mounts=[DATA], init=init)
    live = found.live()
    assert http_get(found.host, "/one") == (200, "first\n")
    assert http_get(found.host, "/two") == (200, "second\n")
    again = api.until(found.again("restart"), "live")
    assert http_get(found.host, "/one") == (200, "first\n")
    assert again["id"] != live["id"]
    found.live()
    assert http_get(found.host, "/one") == (200, "first\nfirst\n"), "the volume outlives releases"


def test_a_redeploy_with_a_volume_is_away_only_in_the_gap(
    api: Api, environment: str, image: Image, http_address: str
):
    found = Service(api, environment, source=image.source, **QUICK, port=8000, mounts=[DATA])
    found.live()
    with load_from_outside(http_address, found.host) as load:
        found.changed()
        found.live()
    report = load.report
    refused = gap(report)
    assert refused["last"] - refused["first"] < 10, report


def test_what_fails_before_it_leaves_the_former_as_it_is(api: Api, environment: str, http_get: Any):
    found = service(api, environment, mounts=[DATA], init=[writes("/data/one", "first")])
    found.live()
    fails = ["python3", "-c", "import os, sys; print('no', os.environ['TABLE']); sys.exit(3)"]
    found.patch(init=[fails, writes("/data/two", "second")])
    secret = {"name": "TABLE", "value": "hunter2", "secret": True}
    api.ok("PUT", f"{found.path}/variables", {"items": [secret]})
    failed = found.failed()
    error = failed["error"]
    assert error["reason"] == "job-failed"
    assert error["detail"] == "init-1: the job ended with exit code 3"
    assert error["lines"] == ["no ***"]
    said = api.logs(failed["id"])
    assert "init-1: the job runs\nno ***\ninit-1: the job ended with 3\n" in said
    assert said.count("no ***") == 1, "its last lines are told once"
    # It runs when that is said; the proxy leads to it as soon as it has answered once.
    eventually("it serves", lambda: http_get(found.host, "/one") == (200, "first\n"), 5)
    assert http_get(found.host, "/two")[0] == 404, "the second one never ran"


def test_files_are_there_byte_for_byte_for_the_user_that_it_runs_as(api: Api, environment: str):
    mounts = [
        {"kind": "file", "path": "/etc/app/secret", "content": SECRET, "secret": True,
         "mode": "0400"},
        {"kind": "file", "path": "/etc/app/plain", "content": "plain"},
        {"kind": "tmpfs", "path": "/scratch", "size": "8m"},
        {**DATA, "path": "/data"},
    ]  # fmt: skip
    labels = {"team": "blue"}
    found = service(api, environment, mounts=mounts, user="1000:1000", labels=labels)
    found.live()
    assert inside(found, "id", "-u") == "1000"
    assert inside(
        found, "python3", "-c", "print(ascii(open('/etc/app/secret', newline='').read()))"
    ) == ascii(SECRET)
    assert inside(found, "stat", "-c", "%a %u", "/etc/app/secret") == "400 1000"
    assert inside(found, "cat", "/etc/app/plain") == "plain"
    assert inside(found, "df", "--output=size", "-B1", "/scratch").split()[-1] == str(8 << 20)
    (container,) = tasks(found.id)
    marks = inspect("container", container)["Config"]["Labels"]
    assert (marks["team"], marks["slipway.service"]) == ("blue", found.id)
    assert len(files_of(found)) == 2
    found.patch(mounts=[{**mounts[0], "content": None}, *mounts[2:]])
    found.live()
    assert inside(found, "stat", "-c", "%s", "/etc/app/secret") == str(len(SECRET.encode()))
    eventually("the former's files have gone", lambda: len(files_of(found)) == 1)
    api.ok("DELETE", found.path)
    api.gone(found.path)
    assert files_of(found) == []


def test_a_port_of_the_host_is_one_services_and_moves_when_it_is_free(
    api: Api, environment: str, stranger: Api
):
    ports = [{"port": 8000, "published": 18473}]
    first = service(api, environment, ports=ports)
    first.live()
    assert answers() in (200, 404)
    body = {"kind": "application", "name": f"p-{uuid.uuid4().hex[:6]}", "source": PYTHON}
    taken = api.call("POST", f"/v1/environments/{environment}/services", {**body, "ports": ports})
    assert taken.status_code == 409
    assert first.name in taken.json()["detail"]
    project = stranger.post("/v1/projects", {"name": f"p {uuid.uuid4().hex[:6]}"})
    theirs = f"/v1/environments/{project['environments'][0]['id']}/services"
    refused = stranger.call("POST", theirs, {**body, "ports": ports})
    assert refused.status_code == 409
    assert first.name not in refused.text
    stranger.ok("DELETE", f"/v1/projects/{project['id']}")
    (before,) = tasks(first.id)
    first.patch(command=[*SERVES[:-3], "--directory", "/tmp", "8000"])
    first.live()
    assert tasks(first.id) != [before]
    assert answers() == 200
    second = service(api, environment)
    first.patch(ports=[])
    assert api.call("PATCH", second.path, {"ports": ports}).status_code == 409, "it still runs"
    first.live()
    second.patch(ports=ports, command=[*SERVES[:-3], "--directory", "/tmp", "8000"])
    second.live()
    assert answers() == 200


def answers() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", 18473, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_what_no_node_takes_says_so_while_it_waits(api: Api, environment: str):
    found = service(api, environment, cpu_reservation=512)
    deployment = api.deploy(found.id)
    words = "no suitable node (insufficient resources on 1 node)"
    said = f"it waits for a node: {words}"
    eventually("its log says so", lambda: said in api.logs(deployment))
    assert api.get(f"/v1/services/{found.id}")["waits_for"].startswith(f"a node: {words}")
    api.post(f"/v1/deployments/{deployment}/cancel")
    assert api.ended(deployment)["status"] == "cancelled"
