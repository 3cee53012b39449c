"""Which domains lead to which service."""

from slipway.contracts.host import Bound, HostReleased, HostRouteAdded, HostRouteRemoved, Hosts


def added(domain: str, service: str, path: str = "/") -> HostRouteAdded:
    return HostRouteAdded(
        domain=domain, host="h", path=path, organization="o", service=service,
        environment="e",
    )  # fmt: skip


def test_hosts_lead_to_services():
    hosts = Hosts()
    assert hosts.evolve(added("d2", "a", "/b")) == "a"
    assert hosts.evolve(added("d1", "a")) == "a"
    assert hosts.evolve(added("d3", "z")) == "z"
    assert hosts.of("a") == (Bound("d1", "h", "/", None), Bound("d2", "h", "/b", None))
    assert hosts.evolve(HostRouteRemoved(domain="d1", service="a")) == "a"
    assert [bound.domain for bound in hosts.of("a")] == ["d2"]
    assert hosts.evolve(HostReleased(until="2026-01-01T00:00:00Z")) is None
    assert hosts.of("nobody") == ()
