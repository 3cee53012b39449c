"""The egress policy as a script for nft. Pure.

One table for the instance, in `prerouting`: before the engine's own address translation, so that a
port of the machine is seen as such, and for every packet that comes in over an egress bridge, also
one that another bridge, a tunnel or the machine itself would take. What comes in elsewhere meets
one comparison and goes on: containers of others are not touched.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from slipway.egress.policy import Address, Allowed, Facts, Network, Policy

ASKED = 9
"""The UDP port of the machine at which lifeline asks whether the rules stand. Only they answer with
`net-prohibited`."""

NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "169.254.0.0/16", "fe80::/10",
            "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::/32", "fd20:ce::254",
        ),
    )
)  # fmt: skip
"""Link-local addresses, and those at which clouds tell a machine its secrets though they are
others: one of them is public, and the rest may lie in a range that the operator allows."""
NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
            "::/3", "4000::/2", "8000::/1",
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        ),
    )
)  # fmt: skip
"""What IANA's registries don't call globally reachable. Of IPv6 only 2000::/3 is given out; in the
rest are loopback, private and multicast addresses, and translated IPv4 ones."""

_KINDS = "{ local, broadcast, anycast, multicast }"


def table(instance: str) -> str:
    return f"{instance}-guard"


def script(instance: str, bridges: str, apart: str, policy: Policy, facts: Facts) -> str:
    """Replaces the table in one transaction: at no moment it is not there, or half of it.
    `bridges`: what the names of the instance's egress bridges begin with; `apart`: those whose
    members don't reach one another. What says that it comes from elsewhere than the network of its
    bridge is forged: who may send raw frames would be taken for somebody else."""
    name = table(instance)
    begun, rules = (
        "\n".join(f"\t\t{rule}" for rule in some)
        for some in (_begun(apart, policy, facts), _rules(apart, policy, facts))
    )
    return f"""\
table inet {name}
delete table inet {name}
table inet {name} {{
	chain first {{
		type filter hook prerouting priority -310; policy accept;
		iifname "{bridges}*" meta nfproto ipv4 fib saddr . iif oif missing drop
		iifname "{bridges}*" tcp flags & (fin | syn | rst | ack) == syn goto begun
	}}
	chain begun {{
{begun}
	}}
	chain prerouting {{
		type filter hook prerouting priority -150; policy accept;
		iifname "{bridges}*" goto egress
	}}
	chain egress {{
{rules}
	}}
	chain refused {{
		meta l4proto tcp reject with tcp reset
		reject with icmpx admin-prohibited
	}}
}}
"""


def removal(instance: str) -> str:
    """Whether the table is there or not."""
    name = table(instance)
    return f"table inet {name}\ndelete table inet {name}\n"


def _begun(apart: str, policy: Policy, facts: Facts) -> Iterator[str]:
    """For a connection that begins, before the engine's own rules: it drops what goes to an address
    that a container of another bridge has, so who is there would be known by the silence."""
    yield from _at_port(facts.resolvers, 53)
    yield from _allowed(each for each in policy.allow if each.exact)
    yield "fib daddr type local accept"
    yield _own_bridge(apart)
    yield from _to(facts.bridged, "goto refused")


def _own_bridge(apart: str) -> str:
    """Frames from member to member come by too, where the kernel filters those of bridges."""
    return f'iifname != "{apart}*" fib daddr . iif oif exists accept'


def _rules(apart: str, policy: Policy, facts: Facts) -> Iterator[str]:
    nodes = tuple(map(ipaddress.ip_network, policy.nodes))
    yield f"fib daddr type local udp dport {ASKED} reject with icmp net-prohibited"
    yield "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept"
    # Not all of a connection that was let go once: what the operator takes back ends, and so does
    # what began before the rules stood.
    yield "ct state established,related ct direction reply accept"
    yield "ct state related meta l4proto { icmp, ipv6-icmp } accept"
    yield from _at_port(facts.resolvers, 53)
    yield from _allowed(each for each in policy.allow if each.exact)
    if policy.ports:
        ports = f"tcp dport {_list(sorted(set(policy.ports)))}"
        yield f"fib daddr type local {ports} accept"
        yield from _to(nodes, f"{ports} accept")
    yield f"fib daddr type {_KINDS} goto refused"
    yield _own_bridge(apart)
    # As silent as the engine is; what begins a connection there was refused before.
    yield from _to(facts.bridged, "drop")
    yield from _to((*NEVER, *nodes), "goto refused")
    yield from _allowed(each for each in policy.allow if not each.exact)
    yield from _to(NOT_PUBLIC, "goto refused")


def _allowed(all_: Iterable[Allowed]) -> Iterator[str]:
    by_port: dict[int | None, list[Network]] = {}
    for each in all_:
        by_port.setdefault(each.port, []).append(each.network)
    for port, networks in by_port.items():
        yield from _to(networks, "accept" if port is None else f"{_port(port)} accept")


def _at_port(addresses: Iterable[Address], port: int) -> Iterator[str]:
    yield from _to(map(ipaddress.ip_network, addresses), f"{_port(port)} accept")


def _port(port: int) -> str:
    return f"meta l4proto {{ tcp, udp }} th dport {port}"


def _to(networks: Iterable[Network], verdict: str) -> Iterator[str]:
    """A rule for each of the two families; overlapping networks would be an error to nft."""
    all_ = tuple(networks)
    four = [each for each in all_ if isinstance(each, ipaddress.IPv4Network)]
    six = [each for each in all_ if isinstance(each, ipaddress.IPv6Network)]
    if four:
        yield f"ip daddr {_list(list(ipaddress.collapse_addresses(four)))} {verdict}"
    if six:
        yield f"ip6 daddr {_list(list(ipaddress.collapse_addresses(six)))} {verdict}"


def _list(items: Sequence[object]) -> str:
    return f"{{ {', '.join(map(str, items))} }}"
