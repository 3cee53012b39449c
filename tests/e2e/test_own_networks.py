"""Where the workloads of a service meet, what becomes of its volume, and what its domain answers
while a release takes the volume over."""

import json
import threading
import time
import uuid
from typing import Any

import httpx2
import pytest

from tests.e2e.api import Api
from tests.e2e.engine import containers, docker, eventually, inspect
from tests.e2e.instance import INSTANCE

PROGRAM = """
import http.server, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = sys.argv[1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *said): pass
data = pathlib.Path("/data")
if data.is_dir():
    with (data / "began").open("a") as file: file.write(sys.argv[1] + " ")
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


def program(name: str, version: str, *networks: str, data: bool = False) -> dict[str, Any]:
    mounts = [{"kind": "volume", "name": "data", "path": "/data"}] if data else []
    return {
        "name": name, "image": "python:3.13-slim", "port": 8000, "mounts": mounts,
        "command": ["python", "-c", PROGRAM, version], "settle_seconds": 1, "drain_seconds": 0,
        "networks": [{"name": each} for each in networks],
    }  # fmt: skip


def stack(version: str) -> list[dict[str, Any]]:
    return [
        program("web", version, "default", "back"),
        program("db", version, "back", data=True),
        program("apart", "1", "other"),
    ]


@pytest.fixture
def service(api: Api, environment: str) -> dict[str, Any]:
    name = f"shop-{uuid.uuid4().hex[:6]}"
    body = {"kind": "raw", "name": name, "workloads": stack("1")}
    made = api.post(f"/v1/environments/{environment}/services", body)
    for workload in ("web", "db"):
        host = {"host": f"{workload}.{name}.localhost", "workload": workload}
        api.post(f"/v1/services/{made['id']}/domains", host)
    api.live(made["id"])
    return made


def container(service: dict[str, Any], workload: str) -> str:
    filters = (f"label=slipway.service={service['id']}", f"label=slipway.workload={workload}")
    (found,) = containers(*filters)
    return found


MEETS = """
import socket, sys, urllib.request
try:
    print(urllib.request.urlopen(f"http://{sys.argv[1]}:8000/", timeout=5).status)
except OSError as error:
    print(type(getattr(error, "reason", error)).__name__)
"""


def meets(container: str, name: str) -> bool:
    said = docker("exec", container, "python", "-c", MEETS, name)
    assert said in ("200", "gaierror"), "it answers, or nobody has that name"
    return said == "200"


def test_workloads_meet_where_they_have_a_network_in_common(
    api: Api, environment: str, service: dict[str, Any]
):
    name = service["name"]
    seen = {
        one: [other for other in ("web", "db", "apart") if meets(container(service, one), other)]
        for one in ("web", "db", "apart")
    }
    assert seen == {"web": ["web", "db"], "db": ["web", "db"], "apart": ["apart"]}
    body = {"kind": "raw", "name": f"{name}-x", "workloads": [program("main", "1")]}
    beside = api.post(f"/v1/environments/{environment}/services", body)
    api.live(beside["id"])
    asking = container(beside, "main")
    assert [each for each in ("web", "db", "apart") if meets(asking, f"{name}-{each}")] == ["web"]
    assert not any(meets(asking, each) for each in ("web", "db", "apart"))
    joined = inspect("container", f"{INSTANCE}-traefik")["NetworkSettings"]["Networks"]
    label = f"label=slipway.service={service['id']}"
    own = docker("network", "ls", "--filter", label, "--format", "{{.Name}}").split()
    assert len(own) == 3
    assert [each.split("_")[2] for each in own if each in joined] == ["back"], "to db, and no more"


def test_in_the_gap_its_domain_says_when_to_ask_again(
    api: Api, http_address: str, service: dict[str, Any]
):
    host = f"db.{service['name']}.localhost"
    answers: list[tuple[float, int, str, str, str]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            began = time.monotonic()
            got = httpx2.get(f"http://{http_address}/", headers={"Host": host}, timeout=15)
            kind = got.headers.get("content-type", "")
            later = got.headers.get("retry-after", "")
            answers.append((began, got.status_code, later, kind, got.text))
            time.sleep(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        api.patch(f"/v1/services/{service['id']}", {"workloads": stack("2")})
        api.live(service["id"])
        time.sleep(1)
    finally:
        over.set()
        asking.join()
    gap = [each for each in answers if each[1] != 200]
    print(f"gap of {gap[-1][0] - gap[0][0]:.2f} s, {len(gap)} answers of {len(answers)}")
    assert {each[1] for each in gap} == {503}, gap
    assert all(int(each[2]) > 0 for each in gap), gap
    assert {each[3] for each in gap} == {"application/problem+json"}
    assert json.loads(gap[0][4])["type"] == "/problems/between-releases"
    assert {each[4] for each in answers if each[1] == 200} == {"1", "2"}
    first, last = answers.index(gap[0]), answers.index(gap[-1])
    assert {each[1] for each in answers[first : last + 1]} == {503}, "one gap"
    data = docker("exec", container(service, "db"), "cat", "/data/began")
    assert data.split() == ["1", "2"], "the same volume"


def test_networks_go_with_the_service_and_its_volume_a_while_later(
    api: Api, service: dict[str, Any]
):
    label = ("--filter", f"label=slipway.service={service['id']}")
    assert len(docker("network", "ls", "-q", *label).split()) == 3
    assert len(docker("volume", "ls", "-q", *label).split()) == 1
    api.ok("DELETE", f"/v1/services/{service['id']}")
    api.gone(f"/v1/services/{service['id']}")
    assert len(docker("volume", "ls", "-q", *label).split()) == 1
    eventually("no network", lambda: not docker("network", "ls", "-q", *label), 60)
    eventually("no volume", lambda: not docker("volume", "ls", "-q", *label), 60)
