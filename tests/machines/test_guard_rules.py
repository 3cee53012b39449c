"""The guard's rules in a kernel: a workload behind an egress bridge, a container of somebody else's
behind another, and outside a world that answers at every address."""

import dataclasses
import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from slipway.egress import render
from slipway.egress.policy import Facts, Policy, entries
from slipway_guard import facts

from tests.e2e.engine import eventually
from tests.machines.wires import Namespace, wire

BRIDGES = "sw-guard-"
APART, BUILDS = f"{BRIDGES}w", f"{BRIDGES}b"
"""Those of workloads, and of an organization's builds."""
PORTS = (22, 53, 80, 443, 2377, 5432)
OUTSIDE = (
    "9.9.9.9", "10.20.0.1", "10.20.0.2", "172.20.0.5", "192.168.7.7", "100.64.0.1",
    "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "169.254.169.254",
    "203.0.113.5", "2600::9", "fd00:20::1", "2001:db8::5", "64:ff9b::a00:1",
)  # fmt: skip
"""Behind the machine's way out; somebody answers at all of them."""
MACHINE = ("10.66.0.1", "172.18.0.1", "8.8.0.1", "fd00:66::1", "2600:66::1")
POLICY = Policy(ports=(80, 443))


@dataclasses.dataclass(frozen=True)
class World:
    machine: Namespace
    workload: Namespace
    foreign: Namespace
    outside: Namespace
    folder: Path

    def guard(self, policy: Policy, resolver: str = "") -> None:
        """As the guard does, of what the machine's kernel says."""
        for file in ("proc/net/route", "proc/net/ipv6_route", "etc/resolv.conf"):
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
        for file in ("route", "ipv6_route"):
            argv = [*self.machine.inside, "cat", f"/proc/net/{file}"]
            text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
            (self.folder / "proc/net" / file).write_text(text)
        (self.folder / "sys/class/net/eng0/bridge").mkdir(parents=True, exist_ok=True)
        (self.folder / "etc/resolv.conf").write_text(f"nameserver {resolver}\n" if resolver else "")
        node = facts.of_node((), self.folder)
        self.machine.nft(render.script("slipway-machines", BRIDGES, APART, policy, node))

    def unguarded(self) -> None:
        self.machine.nft(render.removal("slipway-machines"))

    def arrived(self) -> int:
        """Packets that came out from the workload, since the last time this was asked."""
        said = self.outside.nft("reset counters table inet seen")
        return int(said.partition("packets ")[2].split()[0])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    names = ("machine", "workload", "foreign", "outside")
    with ExitStack() as stack:
        spaces = {name: stack.enter_context(Namespace(name)) for name in names}
        made = World(**spaces, folder=tmp_path_factory.mktemp("node"))
        machine, workload = made.machine, made.workload
        wire(
            (machine, f"{BRIDGES}w", ("10.66.0.1/16", "2600:66::1/64", "fd00:66::1/64")),
            (workload, "eth0", ("10.66.0.2/16", "2600:66::2/64")),
        )
        machine.ip("link", "add", "eng0", "type", "bridge")
        machine.address("172.18.0.1/16", "eng0")
        machine.ip("link", "set", "eng0", "up")
        wire((machine, "port0", ()), (made.foreign, "eth0", ("172.18.0.2/16",)))
        machine.ip("link", "set", "port0", "master", "eng0")
        wire(
            (machine, "out0", ("8.8.0.1/24", "2600:8::1/64")),
            (made.outside, "eth0", ("8.8.0.2/24", "2600:8::2/64")),
        )
        for address in OUTSIDE:
            made.outside.address(address, "lo")
        for space, four, six in (
            (workload, "10.66.0.1", "2600:66::1"), (made.foreign, "172.18.0.1", ""),
            (machine, "8.8.0.2", "2600:8::2"), (made.outside, "8.8.0.1", "2600:8::1"),
        ):  # fmt: skip
            space.ip("route", "add", "default", "via", four)
            if six:
                space.ip("-6", "route", "add", "default", "via", six)
        for setting in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
            subprocess.run([*machine.inside, "sysctl", "-qw", setting], check=True)
        made.outside.nft(
            "table inet seen { counter came { }\nchain incoming { type filter hook prerouting"
            " priority 0;\nip saddr 10.66.0.2 counter name came\n"
            "ip6 saddr 2600:66::2 tcp dport 1-65535 counter name came\n}\n}"
        )
        for space in (machine, made.outside, made.foreign, workload):
            space.serve(PORTS)
        for each in at((OUTSIDE[0], "2600::9"), 80):  # a new wire takes a moment
            eventually(f"{each} answers", lambda to=each: opened(workload.reach([to])), 20)
        yield made


@pytest.fixture(autouse=True)
def _rules_of_each_test_alone(world: World) -> Iterator[None]:
    yield
    world.unguarded()


def at(addresses: tuple[str, ...], *ports: int) -> list[str]:
    def target(address: str, port: int) -> str:
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    return [target(address, port) for address in addresses for port in ports or PORTS]


def opened(answers: Mapping[str, str]) -> set[str]:
    return {target for target, answer in answers.items() if answer == "open"}


def test_without_rules_everything_is_open(world: World):
    targets = at(OUTSIDE + MACHINE) + at(("172.18.0.2",))
    assert opened(world.workload.reach(targets)) == {*targets}


def test_only_what_is_public_is_open(world: World):
    world.guard(POLICY)
    assert opened(world.workload.reach(at(OUTSIDE))) == {*at(("9.9.9.9", "2600::9"))}


def test_what_is_refused_never_gets_out_and_says_the_same_whoever_is_there(world: World):
    world.guard(POLICY)
    closed = tuple(each for each in OUTSIDE if each not in ("9.9.9.9", "2600::9"))
    nobody = ("10.20.99.99", "169.254.1.1", "fd00:20::99")
    world.arrived()
    answers = world.workload.reach(at((*closed, *nobody), 80, 81))
    assert set(answers.values()) == {"Connection refused"}
    assert world.arrived() == 0


def test_of_the_machine_only_the_proxys_ports_are_open(world: World):
    world.guard(POLICY)
    assert opened(world.workload.reach(at(MACHINE))) == {*at(MACHINE, 80, 443)}


def test_containers_on_the_engines_bridges_are_closed(world: World):
    world.guard(Policy(allow=entries("172.16.0.0/12"), ports=POLICY.ports))
    assert opened(world.workload.reach(at(("172.18.0.2", "172.20.0.5")))) == {*at(("172.20.0.5",))}


def test_it_is_not_known_whether_a_container_has_an_address(world: World):
    """The engine drops what goes to one of them past its own bridge, in its table `raw`."""
    world.guard(POLICY)
    world.machine.nft(
        "table ip engine {\nchain raw { type filter hook prerouting priority raw;\n"
        'iifname != "eng0" ip daddr 172.18.0.2 drop\n}\n}'
    )
    asked = at(("172.18.0.2", "172.18.0.3"), 22, 81)
    try:
        assert set(world.workload.reach(asked).values()) == {"Connection refused"}
    finally:
        world.machine.nft("delete table ip engine")


def test_the_resolver_is_open_at_its_port_alone(world: World):
    world.guard(POLICY, resolver="10.20.0.1")
    assert opened(world.workload.reach(at(("10.20.0.1",)))) == {*at(("10.20.0.1",), 53)}


def test_an_address_with_a_port_beats_what_is_never_allowed(world: World):
    allow = "169.254.169.254:80 172.18.0.2:5432 10.66.0.1:22 [fd00:20::1]:443"
    world.guard(Policy(entries(allow), POLICY.ports))
    asked = ("169.254.169.254", "172.18.0.2", "fd00:20::1")
    wanted = {"169.254.169.254:80", "172.18.0.2:5432", "[fd00:20::1]:443", "10.66.0.1:22"}
    assert opened(world.workload.reach([*at(asked), "10.66.0.1:22", "10.66.0.1:2377"])) == wanted


def test_a_range_opens_private_addresses_and_no_more(world: World):
    allow = "10.0.0.0/8 169.254.0.0/16 192.168.0.0/16:443 fd00::/8"
    world.guard(Policy(entries(allow), POLICY.ports))
    asked = ("10.20.0.1", "10.66.0.1", "169.254.169.254", "192.168.7.7", "fd00:20::1")
    wanted = at(("10.20.0.1", "fd00:20::1")) + at(("10.66.0.1",), 80, 443) + ["192.168.7.7:443"]
    assert opened(world.workload.reach(at(asked))) == {*wanted}


def test_a_range_does_not_open_where_clouds_tell_a_machine_its_secrets(world: World):
    world.guard(Policy(entries("100.64.0.0/10 168.63.0.0/16 fd00::/8"), POLICY.ports))
    asked = ("100.64.0.1", "168.63.129.16", "100.100.100.200", "fd00:20::1", "fd00:ec2::254")
    assert opened(world.workload.reach(at(asked, 80))) == {*at(("100.64.0.1", "fd00:20::1"), 80)}


def test_of_another_node_only_the_proxys_ports_are_open_though_it_is_public(world: World):
    nodes = (ipaddress.ip_address("9.9.9.9"),)
    world.guard(Policy(entries("9.0.0.0/8"), POLICY.ports, nodes))
    wanted = {*at(("2600::9",)), *at(("9.9.9.9",), *POLICY.ports)}
    assert opened(world.workload.reach(at(("9.9.9.9", "2600::9")))) == wanted


def test_who_calls_from_outside_is_answered(world: World):
    world.guard(POLICY)
    assert opened(world.outside.reach(at(("10.66.0.2",)))) == {*at(("10.66.0.2",))}
    assert opened(world.machine.reach(at(("10.66.0.2",)))) == {*at(("10.66.0.2",))}


def test_what_began_before_the_rules_stood_ends(world: World):
    program = (
        "import socket, sys\n"
        "held = socket.create_connection((sys.argv[1], 80), 5)\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "try: held.sendall(b'x'); held.settimeout(3); print(held.recv(1))\n"
        "except OSError as error: print(type(error).__name__)\n"
    )

    def held(address: str) -> subprocess.Popen[str]:
        argv = [*world.workload.inside, sys.executable, "-c", program, address]
        pipe = subprocess.PIPE
        client = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)
        assert client.stdout is not None
        assert client.stdout.readline() == "open\n"
        return client

    private, public = held("10.20.0.1"), held("9.9.9.9")
    world.guard(POLICY)
    assert private.communicate("go\n", 20)[0] == "ConnectionResetError\n"
    assert public.communicate("go\n", 20)[0] == "b'x'\n"


@pytest.mark.parametrize(("bridge", "wanted"), [(BUILDS, {80, 5432}), (APART, set[int]())])
def test_members_of_one_bridge_reach_one_another_but_for_workloads(bridge: str, wanted: set[int]):
    """Their frames meet the rules where br_netfilter is loaded, as the engine does for some."""
    with ExitStack() as stack:
        machine, one, other = bridged(stack, bridge, frames_are_filtered=True)
        for space in (machine, other):
            space.serve((80, 5432))
        targets = at(("172.30.0.1", "172.30.0.3"), 80, 5432)
        eventually("all answer", lambda: len(opened(one.reach(targets))) == 4, 20)
        known = (ipaddress.ip_network("172.30.0.0/16"),)
        facts_ = Facts(bridged=known)
        machine.nft(render.script("slipway-machines", BRIDGES, APART, Policy(), facts_))
        found = opened(one.reach(targets))
    assert found == {target for port in wanted for target in at(("172.30.0.3",), port)}


def bridged(stack: ExitStack, bridge: str, *, frames_are_filtered: bool) -> list[Namespace]:
    """A machine with the bridge, and the two members of it."""
    names = (f"{name}-{bridge[-1]}" for name in ("on", "one", "other"))
    machine, *members = (stack.enter_context(Namespace(name)) for name in names)
    machine.ip("link", "add", bridge, "type", "bridge")
    machine.address("172.30.0.1/16", bridge)
    machine.ip("link", "set", bridge, "up")
    for number, space in enumerate(members, 2):
        plugged(machine, bridge, number, space)
    setting = f"net.bridge.bridge-nf-call-iptables={int(frames_are_filtered)}"
    subprocess.run([*machine.inside, "sysctl", "-qw", setting], check=True)
    return [machine, *members]


def plugged(machine: Namespace, bridge: str, number: int, space: Namespace) -> None:
    wire((machine, f"port{number}", ()), (space, "eth0", (f"172.30.0.{number}/16",)))
    machine.ip("link", "set", f"port{number}", "master", bridge)
    space.ip("route", "add", "default", "via", "172.30.0.1")


@pytest.mark.parametrize(("bridge", "reached"), [(BUILDS, True), (APART, False)])
def test_workloads_are_apart_too_where_the_kernel_filters_no_frames(bridge: str, reached: bool):
    with ExitStack() as stack:
        machine, one, other = bridged(stack, bridge, frames_are_filtered=False)
        late = stack.enter_context(Namespace("late"))
        for space in (other, late):
            space.serve((80,))
        eventually("it answers", lambda: opened(one.reach(at(("172.30.0.3",), 80))), 20)
        stack.enter_context(running_guard(machine))
        plugged(machine, bridge, 4, late)
        targets = at(("172.30.0.3", "172.30.0.4"), 80)
        wanted = {*targets} if reached else set[str]()
        eventually("it is as wanted", lambda: opened(one.reach(targets)) == wanted, 10)


FORGED = """
import socket, struct, sys

def packet(source, to):
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0) + ends
    total = sum(struct.unpack(">10H", ip))
    total = ~((total >> 16) + (total & 0xffff)) & 0xffff
    return ip[:10] + struct.pack(">H", total) + ip[12:] + struct.pack(">HHHH", 5000, 7777, 8, 0)

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
own = wire.getsockname()[4]
gateway = bytes.fromhex(sys.argv[1].replace(":", ""))
for source in sys.argv[2:]:
    wire.send(gateway + own + b"\\x08\\x00" + packet(source, "9.9.9.9"))
"""


def test_a_frame_with_anothers_address_gets_nowhere(world: World):
    world.guard(POLICY)
    gateway = world.machine.ip("-brief", "link", "show", APART).split()[2]
    world.outside.nft(
        "table inet forged { counter came { }\nchain incoming { type filter hook prerouting"
        " priority 0;\nudp dport 7777 counter name came\n}\n}"
    )

    def arrived(*sources: str) -> int:
        argv = [*world.workload.inside, sys.executable, "-c", FORGED, gateway, *sources]
        subprocess.run(argv, check=True, timeout=20)
        said = world.outside.nft("reset counters table inet forged")
        return int(said.partition("packets ")[2].split()[0])

    try:
        assert arrived("10.66.0.2") == 1
        assert arrived("172.18.0.2", "8.8.0.1", "8.8.0.2", "9.9.9.9", "203.0.113.5") == 0
    finally:
        world.outside.nft("delete table inet forged")


def test_fifty_containers_of_others_and_their_rules_are_untouched(world: World):
    others = [f"172.18.7.{n}" for n in range(1, 51)]
    for each in others:
        world.foreign.address(f"{each}/16", "eth0")
    world.machine.nft(
        "table ip theirs {\nchain raw { type filter hook prerouting priority raw;\n"
        "ip saddr 172.18.7.1 tcp dport 22 reject with tcp reset\n}\n"
        "chain nat { type nat hook prerouting priority dstnat;\n"
        "ip saddr 172.18.7.2 tcp dport 81 redirect to :80\n}\n}"
    )
    targets = at((*OUTSIDE[:8], *MACHINE[:3], "10.66.0.2"), 22, 80, 81)
    asked = [f"{to} from {own}" for own in others for to in targets]

    def seen() -> tuple[dict[str, str], str]:
        rules = world.machine.nft("list table ip theirs\nlist tables ip\nlist tables ip6")
        return world.foreign.reach(asked), rules

    try:
        before = seen()
        for policy in (POLICY, Policy(entries("10.0.0.0/8 169.254.169.254:80"), POLICY.ports)):
            world.guard(policy)
            assert seen() == before
        world.unguarded()
        assert seen() == before
    finally:
        world.machine.nft("delete table ip theirs")
    refused = at(OUTSIDE[:8], 22), "172.18.7.1"
    changed = at(MACHINE[:3], 81), "172.18.7.2"
    for (tos, own), answer in ((refused, "Connection refused"), (changed, "open")):
        assert {before[0][f"{to} from {own}"] for to in tos} == {answer}, "their rules do hold"


def test_written_again_nothing_is_left_of_the_former(world: World):
    world.guard(Policy(entries("10.0.0.0/8"), POLICY.ports))
    world.guard(POLICY)
    assert opened(world.workload.reach(at(("10.20.0.1",)))) == set()
    listed = subprocess.run(
        [*world.machine.inside, "nft", "list", "tables"], capture_output=True, text=True, check=True
    ).stdout
    assert listed.count("guard") == 1
    world.unguarded()
    world.unguarded()


@contextmanager
def running_guard(machine: Namespace) -> Iterator[None]:
    """Once its rules stand; with the devices of the machine in /sys."""
    environment = {
        "SLIPWAY_INSTANCE": "slipway-machines",
        "SLIPWAY_EGRESS_BRIDGES": BRIDGES,
        "SLIPWAY_EGRESS_APART": APART,
        "SLIPWAY_HTTP_PORT": "80",
        "SLIPWAY_HTTPS_PORT": "443",
    }
    argv = ["ip", "netns", "exec", machine.name, sys.executable, "-m", "slipway_guard"]
    guard = subprocess.Popen(argv, env=os.environ | environment)
    try:
        eventually("the rules stand", lambda: stands(machine), 20)
        yield
    finally:
        guard.terminate()
        guard.wait(20)


def stands(machine: Namespace) -> bool:
    argv = [*machine.inside, "nft", "list", "tables"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return "slipway-machines-guard" in said


def test_rules_that_somebody_removes_are_back_at_once():
    with Namespace("flushed") as machine:
        with running_guard(machine):
            machine.nft("flush ruleset")
            eventually("they stand again", lambda: stands(machine), 3)
        assert not stands(machine)


def test_the_longest_policy_is_taken(world: World):
    ranges = " ".join(f"10.{n}.0.0/16:{1000 + n}" for n in range(200))
    world.guard(Policy(entries(ranges), POLICY.ports))
    assert opened(world.workload.reach(at(("9.9.9.9",), 80))) == {"9.9.9.9:80"}
