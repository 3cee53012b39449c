"""What tells workloads apart, and their stored form."""

from typing import Any

import orjson
import pytest
from slipway.contracts.values import (
    After,
    Attachment,
    BuiltImage,
    FileMount,
    HealthCheck,
    PublishedPort,
    TmpfsMount,
    VolumeMount,
)
from slipway.contracts.workload import MAIN, Workload, Workloads, from_json, shown, to_json

KEY = b"k" * 32
IMAGE = BuiltImage(reference="sha256:1", node="node1", source="web:1", ports=(80,))
CHECK = HealthCheck(path="/health")
WEB = Workload(
    name=MAIN,
    image=IMAGE,
    command=("serve", "--all"),
    environment={"A": "1", "PASSWORD": "hunter2"},
    aliases=("web",),
    port=80,
    health_check=CHECK,
    cpu_limit=0.5,
    memory_limit=1 << 28,
    settle_seconds=1.0,
    drain_seconds=2.0,
)


def changed(**values: Any) -> Workload:
    return WEB.model_copy(update=values)


# -- its digest -----------------------------------------------------------------------------------

OTHERS = {
    "name": changed(name="db"),
    "image": changed(image=BuiltImage(reference="sha256:2", node="node1")),
    "command": changed(command=("serve",)),
    "environment": changed(environment={"A": "2", "PASSWORD": "hunter2"}),
    "aliases": changed(aliases=("web", "www")),
    "networks": changed(networks=(Attachment(name="back", aliases=("web",)),)),
    "port": changed(port=81),
    "health_check": changed(health_check=HealthCheck(path="/health", retries=4)),
    "cpu_limit": changed(cpu_limit=1.0),
    "memory_limit": changed(memory_limit=1 << 29),
    "mounts": changed(mounts=(VolumeMount(name="data", path="/data"),)),
    "ports": changed(ports=(PublishedPort(port=80, published=8080),)),
    "labels": changed(labels={"team": "blue"}),
    "user": changed(user="app"),
    "stop_signal": changed(stop_signal="SIGINT"),
    "stop_grace_seconds": changed(stop_grace_seconds=5.0),
    "cpu_reservation": changed(cpu_reservation=0.5),
    "memory_reservation": changed(memory_reservation=1 << 27),
    "job": changed(job=True),
    "drain_seconds": changed(drain_seconds=9.0),
}
SAME = {
    "after": changed(after=(After(workload="db"),)),
    "strategy": changed(strategy="stop_first"),
    "replicas": changed(replicas=3),
    "settle_seconds": changed(settle_seconds=9.0),
}


@pytest.mark.parametrize("field", Workload.model_fields)
def test_the_digest_is_of_what_its_tasks_would_notice(field: str):
    same = field in SAME
    assert ((SAME if same else OTHERS)[field].digest(KEY) == WEB.digest(KEY)) is same


@pytest.mark.parametrize(
    "other",
    [
        changed(environment={"A": "1"}),
        changed(environment={"A": "1", "PASSWORD": "hunter2", "B": ""}),
        changed(environment={"A": "hunter2", "PASSWORD": "1"}),
        changed(command=None),
        changed(command=()),
        changed(command=("serve --all",)),
        changed(health_check=None),
        changed(health_check=HealthCheck()),
        changed(port=None),
        changed(drain_seconds=0.0),
        changed(drain_seconds=5.0),
        changed(mounts=(TmpfsMount(path="/data"),)),
        changed(mounts=(FileMount(path="/data", content="a"),)),
        changed(mounts=(VolumeMount(name="data", path="/other"),)),
        changed(ports=(PublishedPort(port=80, published=8080, protocol="udp"),)),
    ],
)
def test_what_is_taken_away_or_put_elsewhere_is_another(other: Workload):
    assert other.digest(KEY) != WEB.digest(KEY)


@pytest.mark.parametrize(
    "what",
    [
        {"port": None},
        {"job": True},
        {"mounts": (VolumeMount(name="data", path="/data"),)},
        {"ports": (PublishedPort(port=80, published=8080),)},
    ],
)
def test_what_does_not_drain_is_the_same_for_however_long_it_would(what: dict[str, Any]):
    one = changed(**what)
    assert one.digest(KEY) == changed(**what, drain_seconds=9.0).digest(KEY)
    assert not one.drains


def test_no_command_and_an_empty_one_are_two_things():
    assert changed(command=None).digest(KEY) != changed(command=()).digest(KEY)


@pytest.mark.parametrize(
    "image",
    [
        BuiltImage(reference="sha256:1"),
        BuiltImage(reference="sha256:1", node="node2", source="web:2", ports=(80, 443)),
    ],
)
def test_where_the_image_lies_and_how_it_came_is_no_part_of_it(image: BuiltImage):
    assert changed(image=image).digest(KEY) == WEB.digest(KEY)


def test_nor_is_the_order_of_variables():
    turned = changed(environment={"PASSWORD": "hunter2", "A": "1"})
    assert turned.digest(KEY) == WEB.digest(KEY)


class LaterCheck(HealthCheck):
    start_interval: float = 0.25


class LaterWorkload(Workload):
    platform: str | None = None
    devices: tuple[str, ...] = ()


def later(check: LaterCheck | None = None, **more: Any) -> LaterWorkload:
    made = LaterWorkload.model_validate(WEB.model_dump() | more)
    return made.model_copy(update={"health_check": check or LaterCheck(path="/health")})


def test_a_field_that_comes_later_changes_no_digest_by_its_default():
    assert later().digest(KEY) == WEB.digest(KEY)


def test_it_does_by_another_value():
    found = {
        later(platform="arm64").digest(KEY),
        later(devices=("gpu",)).digest(KEY),
        later(LaterCheck(path="/health", start_interval=1.0)).digest(KEY),
    }
    assert len(found | {WEB.digest(KEY)}) == 4


def test_without_the_key_nobody_has_it():
    assert WEB.digest(b"j" * 32) != WEB.digest(KEY)


def test_it_never_changes():
    """What runs would be taken for something else, and started anew everywhere."""
    assert WEB.digest(KEY) == "a1e38b8c4f6c49effa6836e184967786"
    assert Workload(name=MAIN, image=IMAGE).digest(KEY) == "982bd754e9e69076a352caad85ec2467"


@pytest.mark.parametrize("other", [{"content": "b"}, {"mode": "0400"}, {"path": "/b"}])
def test_a_file_of_other_content_is_another(other: dict[str, Any]):
    file = FileMount(path="/a", content="a")
    changed_ = changed(mounts=(file.model_copy(update=other),))
    assert changed_.digest(KEY) != changed(mounts=(file,)).digest(KEY)


# -- what two cannot have at once -----------------------------------------------------------------


def test_what_stops_first_holds_its_own_place():
    assert changed(strategy="stop_first").holds == ("workload:main",)
    assert changed(strategy="start_first").holds == changed(strategy=None).holds == ()


def test_a_job_holds_the_place_of_the_services_jobs():
    """Another release's may still be ending when it would begin."""
    assert changed(job=True).holds == ("jobs",)


def test_it_holds_the_volumes_that_it_writes_and_the_ports_of_the_host():
    held = changed(
        mounts=(VolumeMount(name="data", path="/d"), TmpfsMount(path="/t")),
        ports=(
            PublishedPort(port=80, published=8080),
            PublishedPort(port=53, published=53, protocol="udp"),
        ),
    )
    assert held.holds == ("volume:data", "port:8080/tcp", "port:53/udp")
    assert WEB.holds == ()


# -- what events say of it ------------------------------------------------------------------------


def test_what_is_shown_has_nothing_of_its_variables():
    built = shown(WEB, KEY)
    assert built.model_dump() == {
        "name": MAIN, "digest": WEB.digest(KEY), "image": IMAGE.model_dump(), "port": 80,
    }  # fmt: skip
    assert "hunter2" not in built.model_dump_json()


# -- as it is stored ------------------------------------------------------------------------------

BOTH = Workloads(items=(WEB, Workload(name="db", image=BuiltImage(reference="db@sha256:2"))))


def test_all_of_it_comes_back_in_its_order():
    odd = {"EMPTY": "", "LINES": "a\nb\r\n\t", "WIDE": "žluťoučký 🐎", "SIGNS": '"\\${A}\x01'}
    made = Workloads(items=(*BOTH.items, changed(name="odd", environment=odd)))
    assert from_json(to_json(made)) == made
    assert [name for name in from_json(to_json(made)).by_name] == [MAIN, "db", "odd"]


def test_what_a_newer_release_added_is_passed_over():
    stored = orjson.loads(to_json(BOTH))
    first = stored["items"][0]
    for place in (stored, first, first["image"], first["health_check"]):
        place["later"] = {"kind": "unknown"}
    assert from_json(orjson.dumps(stored)) == BOTH


def test_what_an_older_one_did_not_know_has_its_default():
    stored = b'{"items": [{"name": "main", "image": {"reference": "sha256:1"}}]}'
    least = Workload(name=MAIN, image=BuiltImage(reference="sha256:1"))
    assert from_json(stored) == Workloads(items=(least,))


@pytest.mark.parametrize("stored", [b"", b"{", b"[]", b"{}", b'{"items": [{"name": "main"}]}'])
def test_what_is_none_is_an_error(stored: bytes):
    with pytest.raises(ValueError):
        from_json(stored)


def test_an_error_does_not_say_which_value_it_was():
    with pytest.raises(ValueError, match=r"items\.0\.environment\.A") as raised:
        from_json(to_json(BOTH).replace(b'"hunter2"', b"[1]").replace(b'"A":"1"', b'"A":["wont"]'))
    assert "wont" not in str(raised.value)
