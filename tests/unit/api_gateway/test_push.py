"""What git servers announce."""

import hashlib
import hmac
from typing import Any

import pytest
from api_gateway.webhooks.push import Push, kind, parse, signed
from slipway.contracts.values import GitSource
from slipway.kernel.errors import Invalid

COMMIT = "a" * 40
PUSH = {"ref": "refs/heads/main", "after": COMMIT}


@pytest.mark.parametrize("server", ["github", "gitea", "forgejo", "gogs"])
def test_a_push_of_each_server(server: str):
    headers = {f"x-{server}-event": "push", f"x-{server}-delivery": "d1"}
    assert parse(headers, PUSH) == Push(delivery="d1", branch="main", commit=COMMIT)


def test_branches_may_have_slashes():
    found = parse({"x-github-event": "push"}, {**PUSH, "ref": "refs/heads/feature/a/b"})
    assert found is not None
    assert found.branch == "feature/a/b"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"branch": "main"}, None),
        ({"branch": "next"}, "the service follows another branch than main"),
        ({}, None),
        ({"tag": "main"}, "the service follows the tag main, and no branch"),
        ({"commit": COMMIT}, f"the service follows the commit {COMMIT}, and no branch"),
    ],
)
def test_whom_a_push_concerns(source: Any, why: str | None):
    """Who names no branch follows the one that the server calls its default."""
    payload = {**PUSH, "repository": {"default_branch": "main"}}
    push = parse({"x-gitea-event": "push"}, payload)
    assert push is not None
    assert push.ignored(GitSource(url="https://git.example/a.git", **source)) == why


@pytest.mark.parametrize("repository", [None, 3, {}, {"default_branch": None}])
def test_a_server_that_names_no_default_branch(repository: Any):
    push = parse({"x-gitea-event": "push"}, {**PUSH, "repository": repository})
    assert push is not None
    assert push.ignored(GitSource(url="https://git.example/a.git")) is not None


def test_without_an_id_a_delivery_is_what_it_announces():
    headers = {"x-github-event": "push"}
    one, again = parse(headers, PUSH), parse(headers, PUSH)
    other = parse(headers, {**PUSH, "after": "b" * 40})
    assert one == again
    assert one is not None
    assert other is not None
    assert one.delivery != other.delivery


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("ping", {"zen": "x"}),
        ("pull_request", {}),
        ("push", {"ref": "refs/tags/v1", "after": COMMIT}),
        ("push", {"ref": "refs/heads/main", "after": "0" * 40}),
    ],
)
def test_what_starts_nothing(event: str, payload: Any):
    assert parse({"x-gitea-event": event}, payload) is None


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ([], "/ref"),
        ("push", "/ref"),
        ({}, "/ref"),
        ({"ref": 5, "after": COMMIT}, "/ref"),
        ({"ref": "refs/heads/main"}, "/after"),
        ({"ref": "refs/heads/main", "after": None}, "/after"),
        ({"ref": "refs/heads/main", "after": ""}, "/after"),
        ({"ref": "refs/heads/main", "after": "HEAD; rm -rf /"}, "/after"),
        ({"ref": "refs/heads/main", "after": "A" * 40}, "/after"),
    ],
)
def test_what_is_no_push(payload: Any, pointer: str):
    with pytest.raises(Invalid) as raised:
        parse({"x-github-event": "push"}, payload)
    assert raised.value.pointer == pointer


def test_what_no_git_server_sends():
    with pytest.raises(Invalid):
        kind({"user-agent": "curl"})


@pytest.mark.parametrize(
    ("header", "prefix"),
    [
        ("x-hub-signature-256", "sha256="),
        ("x-gitea-signature", ""),
        ("x-forgejo-signature", ""),
        ("x-gogs-signature", ""),
    ],
)
def test_signatures(header: str, prefix: str):
    body = b'{"ref": 1}'
    signature = prefix + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert signed({header: signature}, body, "secret")
    assert not signed({header: signature}, body + b" ", "secret")
    assert not signed({header: signature}, body, "other")
    assert not signed({header: "sha256=é"}, body, "secret")
    assert not signed({}, body, "secret")
