"""The egress policy as text and as rules. What the rules do in a kernel: tests/machines."""

import ipaddress

import pytest
from slipway.contracts import labels
from slipway.egress import render
from slipway.egress.policy import MOST, Facts, NotAnEntry, Policy, allowed, entries


@pytest.mark.parametrize(
    ("text", "shown", "exact"),
    [
        ("10.0.0.1:5432", "10.0.0.1:5432", True),
        ("10.0.0.1/32:5432", "10.0.0.1:5432", True),
        ("10.0.0.1", "10.0.0.1", False),
        ("10.0.0.0/8", "10.0.0.0/8", False),
        ("10.0.0.0/8:443", "10.0.0.0/8:443", False),
        ("fd00::/8", "fd00::/8", False),
        ("fd00::1", "fd00::1", False),
        ("[fd00::1]:53", "[fd00::1]:53", True),
        ("[fd00:0::/16]:53", "[fd00::/16]:53", False),
        (" 10.0.0.1:1 ", "10.0.0.1:1", True),
    ],
)
def test_an_entry(text: str, shown: str, exact: bool):
    found = allowed(text)
    assert (str(found), found.exact) == (shown, exact)
    assert allowed(shown) == found


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("db.example.org:5432", "names are not resolved"),
        ("10.0.0.1/8", "begins with its first address"),
        ("10.0.0.1:0", "port from 1 to 65535"),
        ("10.0.0.1:65536", "port from 1 to 65535"),
        ("10.0.0.1:", "port from 1 to 65535"),
        ("10.0.0.1:http", "port from 1 to 65535"),
        ("[fd00::1]", "[address]:port"),
        ("[fd00::1:53", "[address]:port"),
        ("", "neither an address nor a range"),
        ("fd00::%eth0", "neither an address nor a range"),
        ("1" * 61, "60 characters"),
        ('10.0.0.1"; drop', "neither an address nor a range"),
    ],
)
def test_what_is_no_entry_is_refused_with_what_would_be(text: str, word: str):
    with pytest.raises(NotAnEntry) as refused:
        allowed(text)
    assert word in str(refused.value)


def test_several_have_commas_or_blanks_between_them():
    found = entries(" 10.0.0.1:1,10.0.0.2:2\n10.0.0.1:1  ")
    assert [str(each) for each in found] == ["10.0.0.1:1", "10.0.0.2:2"]
    assert entries(" ") == ()


def test_their_number_is_bounded():
    text = " ".join(f"10.{n // 250}.{n % 250}.1" for n in range(MOST + 1))
    with pytest.raises(NotAnEntry, match=f"at most {MOST}"):
        entries(text)


def rules(policy: Policy, facts: Facts) -> list[str]:
    text = render.script("slipway", "swabc-", "swabc-w", policy, facts)
    chain = text.partition("chain egress {")[2].partition("}\n\tchain refused")[0]
    return [line.strip() for line in chain.splitlines() if line.strip()]


def test_the_order_of_the_rules():
    facts = Facts((ipaddress.ip_address("10.0.0.53"),), (ipaddress.ip_network("172.17.0.0/16"),))
    nodes = (ipaddress.ip_address("198.18.0.1"),)
    policy = Policy(entries("10.0.0.0/8 169.254.169.254:80"), (443, 80, 80), nodes)
    found = rules(policy, facts)
    order = (
        "udp dport 9 reject with icmp net-prohibited",
        "icmpv6 type",
        "ct state established,related ct direction reply accept",
        "ct state related",
        "ip daddr { 10.0.0.53/32 } meta l4proto { tcp, udp } th dport 53 accept",
        "ip daddr { 169.254.169.254/32 } meta l4proto { tcp, udp } th dport 80 accept",
        "fib daddr type local tcp dport { 80, 443 } accept",
        "ip daddr { 198.18.0.1/32 } tcp dport { 80, 443 } accept",
        "fib daddr type { local, broadcast, anycast, multicast } goto refused",
        'iifname != "swabc-w*" fib daddr . iif oif exists accept',
        "ip daddr { 172.17.0.0/16 } drop",
        (
            "ip daddr { 100.100.100.200/32, 168.63.129.16/32, 169.254.0.0/16, 192.0.0.192/32,"
            " 198.18.0.1/32 } goto refused"
        ),
        "ip6 daddr { fd00:ec2::/32, fd20:ce::254/128, fe80::/10 } goto refused",
        "ip daddr { 10.0.0.0/8 } accept",
        "ip daddr { 0.0.0.0/8, 10.0.0.0/8,",
        "ip6 daddr { ::/3,",
    )
    assert len(found) == len(order)
    for rule, words in zip(found, order, strict=True):
        assert words in rule


def test_overlapping_networks_are_one():
    text = "10.0.0.0/9 10.128.0.0/9 10.1.0.0/16"
    assert "ip daddr { 10.0.0.0/8 } accept" in rules(Policy(entries(text)), Facts())


def test_what_is_not_public_is_what_no_registry_calls_so():
    """Translated and tunnelled addresses are none of the public ones: they lead elsewhere."""
    public = ("9.9.9.9", "1.1.1.1", "2600::1", "2a00:1450::1")
    private = ("10.1.2.3", "100.64.0.1", "64:ff9b::a00:1", "::ffff:10.0.0.1", "2002:a00:1::",
               "fd00::1", "ff02::1", "240.0.0.1", "192.0.2.1", "2001:0:1::")  # fmt: skip
    for text in (*public, *private):
        address = ipaddress.ip_address(text)
        inside = any(address in network for network in render.NOT_PUBLIC)
        assert inside == (text in private), text


def test_a_bridge_has_a_name_that_a_device_may_have_and_that_no_other_instance_has():
    instances = ("slipway", "slipway-test", "x" * 20)
    names = {labels.builds_bridge(each, of) for each in instances for of in ("an-org", "another")}
    names |= {
        labels.workloads_bridge(each, mark) for each in instances for mark in ("00ff", "a1b2")
    }
    assert len(names) == 12
    assert all(len(name) == 15 for name in names)
    for each in instances:
        assert labels.workloads_bridge(each, "00ff").startswith(labels.workloads_bridges(each))
        assert labels.workloads_bridges(each).startswith(labels.egress_bridges(each))
    assert labels.egress_bridges("slipway") != labels.egress_bridges("slipway-test")


def test_which_way_out_a_network_is():
    names = {
        "slipway_egress": 0, "slipway_egress_1": 1, "slipway_egress_12": 12,
        "slipway_egress_bridge": None, "slipway_egress_bridge_1": None, "slipway_egress2": None,
        "slipway-two_egress": None, "slipway_env_1": None,
    }  # fmt: skip
    assert {name: labels.egress_number("slipway", name) for name in names} == names
    for number in (0, 1, 12):
        assert labels.egress_number("slipway", labels.egress_network("slipway", number)) == number
