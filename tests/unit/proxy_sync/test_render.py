"""Traefik's documents, and the fold of hosts."""

from pathlib import Path
from typing import Any

import pytest
from proxy_sync.adapters.traefik import Answer
from proxy_sync.edge import render as edge
from proxy_sync.routing import render
from proxy_sync.routing.domain import Probe, Routing
from slipway.contracts.route import Binding
from slipway.contracts.workload import MAIN

from tests.golden.cases import cases, check


def document(given: dict[str, Any]) -> dict[str, Any]:
    routing = Routing(
        service=given["service"],
        bindings=tuple(
            Binding(**{"workload": MAIN, **binding}) for binding in given.get("bindings", ())
        ),
        addresses=tuple((MAIN, address) for address in given.get("addresses", ())),
        deployment=given.get("deployment"),
        probes=tuple(Probe(**{"workload": MAIN, **probe}) for probe in given.get("probes", ())),
    )
    return render.configuration(routing, "secret")


@pytest.mark.parametrize("case", cases("traefik"), ids=lambda file: file.stem)
def test_the_document_of_a_service(case: Path):
    check(case, document)


def test_a_binding_leads_to_the_tasks_of_its_workload_alone():
    bindings = tuple(
        Binding(domain=name, host="h", path=f"/{name}", workload=name, port=80)
        for name in ("web", "api", "gone")
    )
    addresses = (("api", "10.0.0.3"), ("web", "10.0.0.1"), ("web", "10.0.0.2"))
    found = render.configuration(Routing("app", bindings, addresses, "d1"), "s")
    servers = {
        name: [server["url"] for server in service["loadBalancer"]["servers"]]
        for name, service in found["http"]["services"].items()
    }
    assert servers == {
        "d-web": ["http://10.0.0.1:80", "http://10.0.0.2:80"],
        "d-api": ["http://10.0.0.3:80"],
        "d-gone": [],
    }


def test_in_the_gap_a_domain_says_when_to_ask_again():
    bindings = tuple(
        Binding(domain=name, host="h", path=f"/{name}", workload=name, port=80)
        for name in ("db", "web")
    )
    routing = Routing("app", bindings, (("web", "10.0.0.1"),), "d1", standing=("db",))
    found = render.configuration(routing, "s")["http"]
    assert "middlewares" not in found["routers"]["d-web"]
    later, words = [found["middlewares"][name] for name in found["routers"]["d-db"]["middlewares"]]
    assert int(later["headers"]["customResponseHeaders"]["Retry-After"]) > 0
    assert later["headers"]["customRequestHeaders"] == {"Authorization": "", "Cookie": ""}
    assert words == {
        "errors": {"status": ["503"], "service": "platform", "query": "/between-releases"}
    }
    assert found["services"]["d-db"]["loadBalancer"]["servers"] == []


def test_the_marker_changes_with_the_document():
    binding = Binding(domain="d", host="h", path="/", workload=MAIN, port=80)
    one = render.configuration(Routing("app", (binding,), ((MAIN, "10.0.0.1"),), "d1"), "s")
    two = render.configuration(Routing("app", (binding,), ((MAIN, "10.0.0.2"),), "d1"), "s")
    assert render.marker(one, "app") != render.marker(two, "app")
    assert render.marker(one, "other") is None
    assert render.marker({}, "app") is None


@pytest.mark.parametrize(
    ("status", "marked", "strict", "good"),
    [
        (200, True, False, True),
        (404, True, False, True),
        (499, True, False, True),
        (500, True, False, False),
        (502, True, False, False),
        (503, True, False, False),
        (504, True, False, False),
        (0, True, False, False),
        (200, False, False, False),
        (200, True, True, True),
        (302, True, True, True),
        (404, True, True, False),
        (500, True, True, False),
    ],
)
def test_which_answers_count(status: int, marked: bool, strict: bool, good: bool):
    assert Answer(status, marked, "").good(strict=strict) is good


def test_only_the_public_entries_are_published_beyond_loopback():
    body = edge.container(instance="x", image="t", http_port=80, https_port=443, api_port=4000)
    bound = {
        port: [(to["HostIp"], to["HostPort"]) for to in bindings]
        for port, bindings in body["HostConfig"]["PortBindings"].items()
    }
    assert bound == {
        "80/tcp": [("", "80")], "443/tcp": [("", "443")], "4000/tcp": [("127.0.0.1", "4000")],
    }  # fmt: skip


def test_its_own_api_listens_on_the_control_network_alone():
    static = edge.static("10.0.1.253")
    assert static["entryPoints"]["control"]["address"] == "10.0.1.253:8080"
    assert static["api"] == {"dashboard": False, "insecure": False}
    platform = edge.platform(
        users=edge.user("slipway", "pw"), loopback=["172.18.0.1/32"], gateway="http://x_api-gateway"
    )["http"]
    assert platform["routers"]["control"]["middlewares"] == ["control-sign-in"]
    assert platform["routers"]["platform"]["middlewares"] == ["platform-only-here"]
    public = [name for name, it in platform["routers"].items() if "web" in it["entryPoints"]]
    assert public == ["webhooks"]
    assert edge.user("slipway", "pw") == "slipway:{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM="


def test_a_domain_at_the_platforms_own_host_gets_no_webhooks():
    routers = edge.platform(
        users="u", loopback=[], gateway="http://g", public_url="http://Slipway.example:8080"
    )["http"]["routers"]
    own = routers["own-webhooks"]
    assert own["rule"].startswith("Host(`slipway.example`) && Method(`POST`) && PathRegexp(")
    assert (own["entryPoints"], own["service"]) == (["web"], "platform")
    binding = Binding(
        domain="d", host="slipway.example", path="/" + "a" * 399, workload=MAIN, port=80
    )
    routed = render.configuration(Routing("s", bindings=(binding,)), "secret")
    theirs = routed["http"]["routers"]["d-d"]
    assert own["priority"] > theirs["priority"] > routers["webhooks"]["priority"]


@pytest.mark.parametrize("public_url", ["", "http://[2001:db8::1]:8080"])
def test_where_no_domain_can_be_webhooks_are_as_anywhere(public_url: str):
    platform = edge.platform(users="u", loopback=[], gateway="http://g", public_url=public_url)
    assert "own-webhooks" not in platform["http"]["routers"]


def test_another_start_is_another_mark():
    assert edge.mark({"a": 1}, {"b": 2}) == edge.mark({"a": 1}, {"b": 2})
    assert edge.mark({"a": 1}) != edge.mark({"a": 2})
