"""What a build reaches with what its author wrote: by ADD, by programs, by frames of its own; who
reaches a build. How the rules treat the world outside is tried in namespaces."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from slipway.contracts import labels

from tests.e2e import reach
from tests.e2e.api import Api
from tests.e2e.engine import address_of, container_of, eventually, inspect, settled
from tests.e2e.instance import CONTROL_NETWORK, INSTANCE, service
from tests.e2e.repositories import GitServer
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

INNER = {"nats": 4222, "mongo": 27017, "api-gateway": 8000}
FRAMES = """
import json, os, socket, struct, sys, time

def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff

def syn(to, port, mac, own, source, number):
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    tcp = struct.pack(">HHIIBBHHH", number, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
    sum_ = checksum(ends + struct.pack(">BBH", 0, 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack(">H", sum_) + tcp[18:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + ends
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return mac + own + b"\\x08\\x00" + ip + tcp

def mac_of(address):
    for row in open("/proc/net/arp").read().splitlines()[1:]:
        if row.split()[0] == address:
            return bytes.fromhex(row.split()[3].replace(":", ""))

def known(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
        ask.sendto(b"", (address, 9))
    time.sleep(0.3)
    return mac_of(address)

own = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
    ask.connect((socket.gethostbyname("registry"), 9))
    source = ask.getsockname()[0]
door = socket.gethostbyname("registry")
gateway = source.rpartition(".")[0] + ".1"
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0800))
wire.bind(("eth0", 0))
asked = {}
for at, address in (("door", door), ("gateway", gateway)):
    mac = known(address)
    for number, target in enumerate(json.load(open("frames.json")), 40000):
        to, port = target.rsplit(":", 1)
        if to == "registry" and at == "gateway":
            continue
        to = door if to == "registry" else to
        wire.send(syn(to, int(port), mac, own, source, number))
        asked[number, to] = f"{target} by {at}"
    end = time.monotonic() + 1
    while time.monotonic() < end:
        wire.settimeout(max(0.01, end - time.monotonic()))
        try:
            said = wire.recv(2000)[14:]
        except TimeoutError:
            break
        from_, (here, flags) = socket.inet_ntoa(said[12:16]), (said[22:24], said[33])
        name = asked.get((int.from_bytes(here, "big"), from_))
        if name and flags & 0x12 == 0x12:
            print("frame answered:", name)
# Somebody else's address: the door's is told to belong to this build, all the time.
forged = own + own + b"\\x08\\x06" + struct.pack(">HHBBH", 1, 0x0800, 6, 4, 2) + own
forged += socket.inet_aton(gateway) + known(door) + socket.inet_aton(door)
wire.send(known(door) + forged[6:])
print("frames were sent")
"""
LISTEN = """
import http.server

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401 if self.path.startswith("/v2/") else 200)
        self.send_header("WWW-Authenticate", open("challenge").read())
        self.end_headers()
    do_HEAD = do_GET

print("it listens", flush=True)
http.server.HTTPServer(("", 8000), Answer).serve_forever()
"""


@dataclass
class Machine:
    """Listens on all of the machine's addresses, at one port that the operator lets out, which
    leads on to another one."""

    address: str
    open_port: int = 0
    closed_port: int = 0
    led: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """What came to the open one, and to the closed one."""


@pytest.fixture(scope="module")
def machine(api: Api) -> Iterator[Machine]:
    made = Machine(reach.gateways()[0])

    class Leads(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.led.append(self.path)
            here = f"http://{made.address}:{made.closed_port}{self.path}"
            self.send_response(302 if self.path == "/on" else 200)
            self.send_header("Location", here)
            self.send_header("Content-Length", "0")
            self.end_headers()

    class Closed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    servers = [ThreadingHTTPServer(("", 0), handler) for handler in (Leads, Closed)]
    made.open_port, made.closed_port = (server.server_port for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with reach.let_out(api, f"{made.address}:{made.open_port}"):
        yield made
    for server in servers:
        server.shutdown()


@pytest.fixture(scope="module")
def attacker(stranger: Api, git_server: GitServer) -> Service:
    made = stranger.post("/v1/projects", {"name": "attackers"})
    environment = made["environments"][0]["id"]
    return Service(stranger, environment, git_server.repository(), **QUICK)


@pytest.fixture(scope="module")
def app(api: Api, environment: str, image: Image) -> Service:
    made = Service(api, environment, source=image.source, **QUICK)
    made.live()
    return made


def added(attacker: Service, address: str) -> dict[str, str]:
    """The error of a deployment of an image with what is there, and with nothing to run."""
    attacker.repository.push({"Dockerfile": f"FROM scratch\nADD {address} /x\n"})
    return attacker.failed()["error"]


def test_add_leads_where_the_rules_let_it(attacker: Service, machine: Machine):
    leads = f"http://{machine.address}:{machine.open_port}"
    closed = (
        f"{leads}/on",
        f"http://{machine.address}:{machine.closed_port}/",
        f"http://{reach.bridged()[0]}:8222/",
    )
    assert added(attacker, f"{leads}/")["reason"] == "no-command"
    assert {added(attacker, each)["reason"] for each in closed} == {"build-failed"}
    assert machine.led == ["/", "/on"]
    assert machine.asked == []


def test_programs_and_frames_lead_nowhere_else_and_nobody_leads_to_them(
    attacker: Service, app: Service, machine: Machine, http_address: str
):
    (organization,) = attacker.api.get("/v1/organizations")["items"]
    own = labels.build_network(INSTANCE, organization["id"])
    inner = labels.registry_container(INSTANCE)
    blobs = address_of(inner, labels.registry_network(INSTANCE))
    control = [
        f"{address_of(container_of(service(name)), CONTROL_NETWORK)}:{port}"
        for name, port in INNER.items()
    ]
    theirs = settled(app.id)[0]
    networks = inspect("container", theirs)["NetworkSettings"]["Networks"]
    tasks = [f"{each['IPAddress']}:8000" for each in networks.values()]
    here = [f"{each}:{machine.closed_port}" for each in (*reach.gateways(), "127.0.0.1")]
    public = f"{machine.address}:{http_address.rpartition(':')[2]}"
    closed = [*control, *tasks, *here, f"{blobs}:5000", *(f"{a}:4222" for a in reach.bridged()[:9])]
    near = [each for each in closed if reach.near(each)]
    names = ["localhost:2375", *(f"{name}:{port}" for name, port in INNER.items()), f"{inner}:5000"]
    asked = [[*closed, *names, "registry:5000", public], reach.machine_networks()]
    attacker.repository.push({
        "Dockerfile": "FROM python:3.13-slim\nCOPY . .\n"
        "RUN python probe.py <asked.json | python -m json.tool && python frames.py"
        " && python -u listen.py\n",
        "probe.py": reach.PROGRAM, "asked.json": json.dumps(asked),
        "frames.py": FRAMES, "frames.json": json.dumps([*near, "registry:5000", public]),
        "listen.py": LISTEN,
        "challenge": f'Bearer realm="http://{machine.address}:{machine.closed_port}/",service="x"',
    })  # fmt: skip
    deployment = attacker.deploy()
    log = eventually("it listens", lambda: _whole(attacker.api, deployment))
    answers = json.loads(log[log.index("\n{\n") : log.index("\n}\n") + 2])
    opened = {to for to, answer in answers.items() if answer.startswith("open")}
    assert opened == {"registry:5000", public}, answers
    assert {answers[each] for each in near} == {"closed: [Errno 111] Connection refused"}
    frames = {line for line in log.splitlines() if line.startswith("frame answered")}
    wanted = {"registry:5000 by door", f"{public} by gateway"}
    assert frames == {f"frame answered: {each}" for each in wanted}
    source = {"kind": "image", "image": "127.0.0.1:8000/lies:1"}
    lied_to = Service(attacker.api, attacker.environment, source=source, **QUICK).failed()
    assert f"{machine.closed_port}/?scope=" in lied_to["error"]["detail"], "a token was asked for"
    assert machine.asked == []
    to = [f"{address_of(own, own)}:8000"]
    assert reach.reach(own, to)[to[0]].startswith("open"), "it does listen"
    answer = reach.reach_from(theirs, to)[to[0]]
    assert not answer.startswith("open"), answer
    attacker.api.post(f"/v1/deployments/{deployment}/cancel", {})
    attacker.api.until(deployment, "cancelled")


def _whole(api: Api, deployment: str) -> str:
    log = api.logs(deployment)
    seen = api.deployment(deployment)
    assert seen["status"] in ("queued", "building"), f"{seen['error']}\n{log}"
    return log if "it listens" in log else ""
