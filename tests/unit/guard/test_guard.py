"""What the guard reads of its environment and of the node, and when it takes its rules away."""

import ipaddress
import threading
from pathlib import Path

import pytest
from slipway.egress.policy import MOST, Facts, NotAnEntry
from slipway_guard import __main__ as guard
from slipway_guard import facts, ports, rules, settings

ENVIRONMENT = {
    "SLIPWAY_INSTANCE": "slipway",
    "SLIPWAY_EGRESS_BRIDGES": "swabc-",
    "SLIPWAY_EGRESS_APART": "swabc-w",
    "SLIPWAY_HTTP_PORT": "80",
    "SLIPWAY_HTTPS_PORT": "443",
}
ROUTE = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	FE0200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
docker0	0000140A	050011AC	0003	0	0	0	0000FFFF	0	0	0
br-lan	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
br-lan	00000000	0100000A	0003	0	0	100	00000000	0	0	0
"""
ROUTE6 = """\
fd000066000000000000000000000000 40 {0} 00 {0} 00000100 00000001 00000000 00000001  docker0
fe800000000000000000000000000000 40 {0} 00 {0} 00000100 00000001 00000000 00000001  docker0
ff000000000000000000000000000000 08 {0} 00 {0} 00000100 00000001 00000000 00000001  docker0
00000000000000000000000000000000 00 {0} 00 {0} ffffffff 00000001 00000000 00200200       lo
""".format("0" * 32)


def node(root: Path, resolv: str = "") -> Path:
    for file, text in (
        ("proc/net/route", ROUTE), ("proc/net/ipv6_route", ROUTE6), ("etc/resolv.conf", resolv),
    ):  # fmt: skip
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    for device in ("docker0/bridge", "br-lan/bridge", "eth0/statistics"):
        (root / "sys/class/net" / device).mkdir(parents=True)
    return root


def test_the_networks_of_bridges_but_for_the_one_that_leads_out(tmp_path: Path):
    found = facts.of_node((), node(tmp_path)).bridged
    assert [str(each) for each in found] == ["172.17.0.0/16", "fd00:66::/64", "fe80::/64"]


def test_resolvers_are_those_of_the_node_and_those_that_are_told(tmp_path: Path):
    text = "# nameserver 9.9.9.9\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver 10.0.0\n"
    told = (ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.2"))
    found = facts.of_node(told, node(tmp_path, f"{text}nameserver fe80::1%eth0\n")).resolvers
    assert [str(each) for each in found] == ["10.0.0.1", "10.0.0.2"]


def test_a_node_without_ipv6(tmp_path: Path):
    (node(tmp_path) / "proc/net/ipv6_route").unlink()
    assert len(facts.of_node((), tmp_path).bridged) == 1


def test_what_make_up_allows_and_what_the_operator_sets_hold_both():
    told = {
        "SLIPWAY_EGRESS_ALLOW": "10.0.0.1:1", "SLIPWAY_EGRESS_SET": "10.0.0.2:2 10.0.0.1:1",
        "SLIPWAY_NODES": "127.0.0.1 10.0.0.7", "SLIPWAY_RESOLVERS": "10.0.0.53 fd00::53",
    }  # fmt: skip
    found = settings.read(ENVIRONMENT | told)
    assert [str(each) for each in found.policy.allow] == ["10.0.0.1:1", "10.0.0.2:2"]
    assert found.policy.ports == (80, 443)
    assert [str(each) for each in found.policy.nodes] == ["10.0.0.7"]
    assert [str(each) for each in found.resolvers] == ["10.0.0.53", "fd00::53"]


def test_as_many_as_may_be_given_in_two_places_are_read():
    told = {
        "SLIPWAY_EGRESS_ALLOW": " ".join(f"10.1.0.{n}:1" for n in range(MOST)),
        "SLIPWAY_EGRESS_SET": " ".join(f"10.2.0.{n}:1" for n in range(MOST)),
    }
    assert len(settings.read(ENVIRONMENT | told).policy.allow) == 2 * MOST


@pytest.mark.parametrize("name", ["SLIPWAY_EGRESS_ALLOW", "SLIPWAY_EGRESS_SET", "SLIPWAY_NODES"])
def test_what_cannot_be_read_is_not_left_out(name: str):
    with pytest.raises(NotAnEntry):
        settings.read(ENVIRONMENT | {name: "10.0.0.1:1 nonsense"})


def test_somebody_is_behind_a_bridge_when_it_has_a_port(tmp_path: Path):
    (tmp_path / "swother-aaaaaa/brif/veth0").mkdir(parents=True)
    (tmp_path / "swabc-aaaaaa/brif").mkdir(parents=True)
    assert not rules.anybody_behind("swabc-", tmp_path)
    (tmp_path / "swabc-bbbbbb/brif/veth1").mkdir(parents=True)
    assert rules.anybody_behind("swabc-", tmp_path)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What nft was given: `stand` or `gone`."""
    given: list[str] = []

    def apply(script: str) -> None:
        given.append("stand" if "chain egress" in script else "gone")

    monkeypatch.setattr(rules, "apply", apply)
    monkeypatch.setattr(facts, "of_node", lambda resolvers: Facts(tuple(resolvers)))
    return given


@pytest.mark.parametrize(
    ("behind", "then"),
    [([True], []), ([False, False], ["gone"]), ([False, True], ["gone", "stand"])],
)
def test_the_rules_go_only_when_nobody_is_behind_them(
    written: list[str], monkeypatch: pytest.MonkeyPatch, behind: list[bool], then: list[str]
):
    monkeypatch.setattr(rules, "anybody_behind", lambda _: behind.pop(0))
    guard.leave(settings.read(ENVIRONMENT))
    assert written == then
    assert behind == []


def test_what_could_not_be_written_is_tried_again_and_told_once(
    written: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    stopping, changed = threading.Event(), threading.Event()
    answers: list[str | None] = ["no such", "no such", None]
    waits: list[float | None] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return stopping.is_set()

    monkeypatch.setattr(stopping, "wait", wait)

    def apply(_: str) -> None:
        said = answers.pop(0)
        if said is not None:
            raise rules.NotWritten(said)
        stopping.set()
        changed.set()

    monkeypatch.setattr(rules, "apply", apply)
    monkeypatch.setattr(rules, "standing", lambda _: "as they were")
    guard.keep(settings.read(ENVIRONMENT), stopping, changed)
    assert waits[:2] == [1.0, 1.0]
    told = capsys.readouterr().out.splitlines()
    assert told == ["the rules could not be written: no such", "the rules stand"]


def test_what_somebody_else_changed_is_written_again_and_what_is_as_it_was_is_not(
    written: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    stopping, changed = threading.Event(), threading.Event()
    looks = ["ours", "ours", "flushed", "ours"]
    monkeypatch.setattr(guard, "_PAUSE", 0.0)

    def standing(_: str) -> str:
        changed.set()
        if len(looks) == 1:
            stopping.set()
        return looks.pop(0)

    monkeypatch.setattr(rules, "standing", standing)
    guard.keep(settings.read(ENVIRONMENT), stopping, changed)
    assert written == ["stand", "stand"]
    told = capsys.readouterr().out.splitlines()
    assert told == ["the rules stand", "somebody changed the rules", "the rules stand"]


def test_a_new_port_is_looked_for_at_once_and_the_pause_is_afterwards(
    monkeypatch: pytest.MonkeyPatch,
):
    stopping, plugged = threading.Event(), threading.Event()
    happened: list[str] = []

    def wait(_: float) -> bool:
        happened.append("told")
        if happened.count("told") == 2:
            stopping.set()
        return True

    monkeypatch.setattr(ports, "isolate", lambda _: happened.append("look"))
    monkeypatch.setattr(stopping, "wait", lambda _: happened.append("pause"))
    monkeypatch.setattr(plugged, "wait", wait)
    ports.keep("swabc-w", stopping, plugged)
    assert happened == ["look", "pause", "told"] * 2
