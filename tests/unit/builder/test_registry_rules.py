"""What the registry's door lets through, by the whole request as it was sent."""

import re

import pytest
from builder.registry import render
from slipway.contracts.registry import account

A, B = "0198f9a2-1111-7000-8000-00000000000a", "0198f9a2-1111-7000-8000-00000000000b"
DIGEST = "sha256:" + "0" * 64
CODED = DIGEST.replace(":", "%3A")
OWN, OTHER = f"/v2/{A}/app", f"/v2/{B}/app"
UPLOAD = f"{OWN}/blobs/uploads/0198f9a2-2222-7000-8000-000000000000"


def allowed(request: str) -> bool:
    """As nginx asks its map: a key that begins with no user is asked to sign in."""
    rules = re.findall(r'^ +"~(.*)" 1;$', render.nginx_conf("slipway-registry"), re.MULTILINE)
    assert rules
    return any(re.search(rule, request) for rule in rules)


@pytest.mark.parametrize(
    "request_",
    [
        "GET /v2/",
        f"HEAD {OWN}/manifests/d1",
        f"GET {OWN}/manifests/{DIGEST}",
        f"GET {OWN}/deep/er/blobs/{DIGEST}",
        f"GET {OWN}/tags/list",
        "GET /v2/library/python/manifests/3.13-slim",
        "HEAD /v2/library/python/manifests/3.13-slim?ns=docker.io",
        f"HEAD /v2/library/python/blobs/{DIGEST}",
        f"PUT {OWN}/manifests/0198f9a2-1111-7000-8000-00000000000d",
        f"POST {OWN}/blobs/uploads/",
        f"POST {OWN}/blobs/uploads/?mount={CODED}",
        f"POST {OWN}/blobs/uploads/?from={A}%2Fother&mount={CODED}",
        f"POST {OWN}/blobs/uploads/?mount={DIGEST}&from=library/python",
        f"PATCH {UPLOAD}?_state=abc-_%3D%3D",
        f"PUT {UPLOAD}?_state=abc&digest={CODED}",
    ],
)
def test_its_own_and_the_library(request_: str):
    assert allowed(f"{A} {request_}")
    if "library" not in request_.partition("?")[0] and request_ != "GET /v2/":
        assert not allowed(f"{B} {request_}")


@pytest.mark.parametrize(
    "request_",
    [
        "GET /v2/_catalog",
        "GET /v2/_catalog?n=100",
        f"HEAD {OTHER}/manifests/d1?ns=docker.io",
        "HEAD /v2/library/python/manifests/3.13-slim?ns=docker.io&x=y",
        "GET /",
        f"GET {OTHER}/manifests/d1",
        f"HEAD {OTHER}/blobs/{DIGEST}",
        f"GET {OTHER}/tags/list",
        f"PUT {OTHER}/manifests/d1",
        f"POST {OTHER}/blobs/uploads/",
        "PUT /v2/library/python/manifests/3.13-slim",
        "POST /v2/library/python/blobs/uploads/",
        f"DELETE {OWN}/manifests/{DIGEST}",
        f"POST {OWN}/blobs/uploads/?mount={CODED}&from={B}%2Fapp",
        f"POST {OWN}/blobs/uploads/?from={B}/app&mount={CODED}",
        f"POST {OWN}/blobs/uploads/?from={A}%2Fapp&mount={CODED}&from={B}%2Fapp",
        f"POST {OWN}/blobs/uploads/?mount={CODED}&fro%6D={B}%2Fapp",
        f"POST {OWN}/blobs/uploads/?mount={CODED}&from={A}%2F..%2F{B}%2Fapp",
        f"POST {OWN}/blobs/uploads/?mount={CODED}&from={A}%252F..",
        f"GET /v2/{A}/../{B}/app/manifests/d1",
        f"GET /v2/{A}/%2e%2e/{B}/app/manifests/d1",
        f"GET /v2/{A}/..%2F{B}/app/manifests/d1",
        f"GET /v2//{A}/app/manifests/d1",
        f"GET /v2/{A}x/app/manifests/d1",
        f"GET /v2/{A}/manifests/d1",
        f"GET {OWN}/manifests/d1 {OTHER}/manifests/d1",
        f"TRACE {OWN}/manifests/d1",
    ],
)
def test_nothing_else(request_: str):
    assert not allowed(f"{A} {request_}")


@pytest.mark.parametrize("user", ["library", "nobody", "..", f"{A}/", A.upper(), f"{A} GET /v2/"])
def test_who_is_no_organization(user: str):
    assert not allowed(f"{user} GET {OWN}/manifests/d1")
    assert not allowed(f"{user} PUT /v2/{user}/app/manifests/d1")


def test_the_engine_reads_all_and_writes_nothing():
    assert allowed(f"platform GET {OTHER}/manifests/{DIGEST}")
    assert allowed(f"platform HEAD /v2/library/python/blobs/{DIGEST}")
    assert not allowed(f"platform PUT {OTHER}/manifests/d1")
    assert not allowed("platform GET /v2/_catalog")


def test_who_does_not_say_who_he_is_is_asked():
    assert allowed(f" GET {OWN}/manifests/d1")


def test_each_has_a_password_of_his_own():
    first, second = account("master", A), account("master", B)
    assert first.password != second.password != account("other", B).password
    assert len(first.password) == 64
    assert first.password not in render.user_file(first)
    assert render.user_file(first).startswith(f"{A}:{{SHA}}")


def test_no_network_takes_all_connections_of_the_door():
    conf = render.nginx_conf("slipway-registry")
    each, all_ = (
        re.search(r"limit_conn networks (\d+);", conf),
        re.search(r"connections (\d+)", conf),
    )
    assert each
    assert all_
    # One to whoever asks, one to the registry.
    assert int(each[1]) * 2 <= int(all_[1]) / 10
    assert "limit_conn_zone $server_addr zone=networks" in conf
