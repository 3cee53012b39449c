"""What a newer release has written is left out, and hides nothing of what is known."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from api_gateway.commands import Commands
from api_gateway.deployments.history import Former, former
from api_gateway.own_key import OwnKey
from api_gateway.projections import Heads
from api_gateway.projects.tree import Runs, Tree, Wanted, service_status
from api_gateway.services.read import webhook_url
from api_gateway.webhooks.routes import _check
from pydantic import SecretStr
from slipway import sealing
from slipway.contracts.build import BuildFailed, BuildSucceeded
from slipway.contracts.deployment import Repeats
from slipway.contracts.event import Event, Unknown
from slipway.contracts.rollout import RolloutStarted, RolloutState
from slipway.contracts.values import Failure, GitCommit
from slipway.eventstore import codec
from slipway.eventstore.memory import MemoryStore
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.kernel.errors import Forbidden

from tests.unit.api_gateway import newer

AT = datetime(2026, 1, 2, tzinfo=UTC)
STARTED = RolloutStarted(
    service="s1", kind="application", deployment="d1", state=RolloutState(highest=7)
)


def commit(event: Event, sequence: int) -> Commit:
    meta = Meta(f"c{sequence}", AT, Actor("service", "t"), "c")
    stored = codec.to_bytes(NOTHING, [event], meta)
    return codec.from_bytes(str(Subject("o1", "rollout", "s1")), sequence, stored)


def test_an_event_of_a_newer_release_changes_no_head():
    later = commit(newer.event_of("rollout"), 2)
    assert isinstance(later.events[0], Unknown)
    before = Heads("rollout").fold(None, commit(STARTED, 1), "s1")
    after = Heads("rollout").fold(before, later, "s1")
    assert after["state"] == before["state"]
    assert (after["state"]["highest"], after["event"]) == (7, "rollout.started")
    assert Heads("rollout").fold(None, later, "s1")["state"] == {}


def document(id_: str, **state: Any) -> dict[str, Any]:
    return {
        "_id": id_, "_seq": 1, "version": 1, "created_at": "2026", "updated_at": "2026",
        "state": {
            "phase": "active", "project": "p1", "environment": "e1", "name": "web", "replicas": {},
            "stopped": False, "settings": {"kind": "application"}, **state,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    "state", [{"phase": "none", "settings": None}, {"phase": "deleting", "settings": None}]
)
def test_a_service_that_only_a_newer_release_understands_is_left_out(state: dict[str, Any]):
    tree = Tree(None)
    tree.put("service", document("s1"))
    tree.put("service", document("s2", **state))
    tree.put("service", {**document("s1", **state), "_seq": 2})
    tree.put("service", document("s3"))
    assert tree.services(Wanted(), None, 10) == (["s3"], None)


@pytest.mark.parametrize(
    ("rollout", "said"),
    [
        ({}, "not deployed"),
        ({"serving": None}, "not deployed"),
        ({"serving": {}, "stopped": False, "replicas": {"main": 1}}, "not deployed"),
        ({"serving": {"deployment": "d1"}, "stopped": False, "replicas": {"main": 1}}, "running"),
        ({"serving": {"deployment": "d1"}}, "running"),
        ({"serving": {"deployment": "d1"}, "stopped": True, "replicas": {"main": 1}}, "stopped"),
        ({"serving": {"deployment": "d1"}, "stopped": False, "replicas": {"main": 0}}, "stopped"),
        ({"serving": {"deployment": "d1"}, "replicas": {"db": 1, "web": 0}}, "running"),
    ],
)
def test_only_what_runs_is_running(rollout: dict[str, Any], said: str):
    """Also where the owner wants it to run: a start whose deployment failed starts nothing."""
    wanted = document("s1")["state"]
    assert service_status(wanted, Runs.of(rollout)) == said
    tree = Tree(None)
    tree.put("service", document("s1"))
    tree.put("rollout", {**document("s1"), "state": rollout})
    assert tree.services(Wanted(status=said), None, 10)[0] == ["s1"]  # pyright: ignore[reportArgumentType]


def test_an_address_that_a_newer_release_says_more_of_is_shown():
    """Its documents are read until those of this release are folded."""
    key = OwnKey(SecretStr(sealing.generate().private))
    sealed = {**key.seal("token", "service/s1/webhook").model_dump(), "made_by": "somebody"}
    settings = SimpleNamespace(public_url="http://here")
    gateway = SimpleNamespace(own_key=key, settings=settings)
    shown = webhook_url(gateway, document("s1", webhook_token=sealed))  # pyright: ignore[reportArgumentType]
    assert shown == "http://here/v1/webhooks/git/token"


def test_a_signature_is_held_against_a_secret_that_a_newer_release_says_more_of():
    key = OwnKey(SecretStr(sealing.generate().private))
    sealed = {**key.seal("s", "service/s1/webhook-secret").model_dump(), "made_by": "somebody"}
    incoming = SimpleNamespace(headers={"x-hub-signature-256": "sha256=00"})
    with pytest.raises(Forbidden):
        _check(key, document("s1", webhook_secret=sealed), incoming, bytearray())  # pyright: ignore[reportArgumentType]


async def _former(build: Event) -> Former:
    store = MemoryStore()
    meta = Meta("c", datetime(2026, 1, 1, tzinfo=UTC), Actor("service", "builder"), "c")
    await store.append(Subject("o1", "build", "d1"), NOTHING, [build], meta)
    gateway = SimpleNamespace(store=store, commands=Commands(store, []))
    return await former(gateway, "o1", "d1")  # pyright: ignore[reportArgumentType]


async def test_what_a_newer_release_says_more_of_is_run_again():
    said = {"signed_by": "somebody"}
    image = {"reference": "sha256:1", **said}
    built = BuildSucceeded.from_stored(
        {
            "service": "s1", "kind": "application", "environment": "e1",
            "workloads": [{"name": "main", "digest": "x", "image": image, "jobs": 1}],
            "sealed": {"name": "d1.1", "hash": "h", **said}, "commit": {"hash": "a" * 40, **said},
        }
    )  # fmt: skip
    found = await _former(built)
    assert found.repeats == Repeats(deployment="d1")
    assert found.commit is not None
    assert found.commit.hash == "a" * 40


async def test_what_was_never_built_is_not_run_again():
    failed = BuildFailed(
        service="s1", kind="application", environment="e1",
        failure=Failure(reason="x", detail="y"), commit=GitCommit(hash="a" * 40),
    )  # fmt: skip
    found = await _former(failed)
    assert found.repeats is None
    assert found.commit is not None
