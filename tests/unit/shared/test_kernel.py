"""Ids that a repeat meets again, subjects, and the stored form of a commit."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from slipway.contracts.deployment import DeploymentCancelled
from slipway.contracts.event import REGISTRY, NewerRelease, Unknown, readable
from slipway.contracts.project import ProjectCreated, ProjectRenamed
from slipway.eventstore import codec
from slipway.eventstore.store import Damaged, TooLarge
from slipway.kernel.envelope import NOTHING, Actor, Head, Meta, Subject, digest
from slipway.kernel.ids import commit_id, derived, is_uuid, request_id, value_id
from slipway.runtime.clock import iso

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SUBJECT = Subject("org", "project", "p1")
META = Meta("c1", AT, Actor("user", "u1", "192.0.2.7"), "corr", "cause", "req", "00-trace")
EVENTS = (ProjectCreated(name="Größe", environment="e1"), ProjectRenamed(name="B"))


# -- ids ------------------------------------------------------------------------------------------


def test_the_same_parts_are_the_same_id():
    assert derived("a", 1) == derived("a", 1)
    assert is_uuid(derived("a", 1))
    assert request_id("o", "u", "POST", "/v1/x", "k") == request_id("o", "u", "POST", "/v1/x", "k")
    assert commit_id("c", "evt.o.build.d") == commit_id("c", "evt.o.build.d", "", 0)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (derived("a", "b"), derived("ab")),
        (derived("a", "b"), derived("a", "b", "")),
        (derived("a", 1), derived("a", 2)),
        (commit_id("c", "s", "started", 1), commit_id("c", "s", "started", 2)),
        (commit_id("c", "s", "outcome"), commit_id("c", "s", "started")),
        (commit_id("c", "s1"), commit_id("c", "s2")),
        (request_id("o", "u", "POST", "/a", "k"), request_id("o", "v", "POST", "/a", "k")),
        (value_id("host", "a.example"), value_id("email", "a.example")),
        (value_id("name", "e1", "web"), value_id("name", "e1web", "")),
    ],
)
def test_other_parts_are_another_id(one: str, two: str):
    assert one != two


def test_a_values_id_is_a_subjects_token():
    assert Subject("_", "host", value_id("host", "Ä/b:8080.*")).id


@pytest.mark.parametrize(
    ("text", "known"),
    [(derived("x"), True), (derived("x").upper(), True), ("", False), ("x", False),
     (derived("x").replace("-", ""), False), ("{" + derived("x") + "}", False)],
)  # fmt: skip
def test_what_is_an_id(text: str, known: bool):
    assert is_uuid(text) is known


# -- subjects -------------------------------------------------------------------------------------


def test_a_subject_is_read_back():
    assert Subject.parse(str(SUBJECT)) == SUBJECT
    assert str(SUBJECT) == "evt.org.project.p1"


@pytest.mark.parametrize("token", ["", "a.b", "a*", ">", "a b", "ä", "x" * 65, "a\n"])
def test_what_is_no_token_is_refused(token: str):
    with pytest.raises(ValueError, match="token"):
        Subject("org", "project", token)


@pytest.mark.parametrize("text", ["evt.org.project", "evt.a.b.c.d", "log.org.project.p1", ""])
def test_what_is_no_subject_is_refused(text: str):
    with pytest.raises(ValueError):
        Subject.parse(text)


def test_an_event_has_an_id_of_its_own():
    commit = codec.from_bytes(str(SUBJECT), 7, codec.to_bytes(NOTHING, EVENTS, META))
    assert [commit.event_id(index) for index in (0, 1)] == ["7.0", "7.1"]


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (AT, "2026-01-02T03:04:05.678Z"),
        (AT.astimezone(timezone(timedelta(hours=2))), "2026-01-02T03:04:05.678Z"),
        (AT.replace(microsecond=0), "2026-01-02T03:04:05.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds(moment: datetime, shown: str):
    assert iso(moment) == shown


# -- the stored form ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "meta",
    [META, Meta("c2", AT, Actor("service", "builder"), "corr")],
)
def test_a_commit_is_read_back(meta: Meta):
    data = codec.to_bytes(NOTHING, EVENTS, meta)
    commit = codec.from_bytes(str(SUBJECT), 7, data)
    assert (commit.subject, commit.meta, commit.events) == (SUBJECT, meta, EVENTS)
    assert commit.head == Head(7, 1, digest(data))
    assert commit.prev == ""
    assert codec.commit_of(data) == meta.commit


def test_each_commit_names_the_one_before():
    first = codec.from_bytes(str(SUBJECT), 7, codec.to_bytes(NOTHING, EVENTS, META))
    data = codec.to_bytes(first.head, EVENTS[1:], META)
    second = codec.from_bytes(str(SUBJECT), 9, data)
    assert (second.head.version, second.prev) == (2, first.head.hash)


def test_the_same_commit_is_the_same_bytes():
    data = codec.to_bytes(NOTHING, EVENTS, META)
    assert data == codec.to_bytes(NOTHING, EVENTS, META)
    body = json.loads(data)
    assert list(body) == sorted(body)


def test_an_event_of_a_later_release_is_kept():
    body = json.loads(
        codec.to_bytes(NOTHING, [DeploymentCancelled(kind="application", service="a")], META)
    )
    body["events"] += [{"t": "deployment.dreamt", "v": 1, "d": {"x": 1}}]
    body["events"][0]["v"] = 99
    commit = codec.from_bytes(str(SUBJECT), 7, json.dumps(body).encode())
    assert commit.events == (
        Unknown(name="deployment.cancelled", data={"kind": "application", "service": "a"}),
        Unknown(name="deployment.dreamt", data={"x": 1}),
    )


def test_of_what_cant_be_read_nothing_follows():
    newer = Unknown(name="rollout.dreamt", data={})
    assert (newer.type, "unknown" in REGISTRY) == ("unknown", False)
    with pytest.raises(NewerRelease, match=r"rollout\.dreamt"):
        readable(newer, ProjectRenamed)
    renamed = ProjectRenamed(name="p")
    assert readable(renamed, ProjectRenamed) is renamed
    assert readable(renamed, DeploymentCancelled) is None
    assert readable(None, ProjectRenamed) is None


def test_too_large_is_refused_before_it_is_sent():
    with pytest.raises(TooLarge):
        codec.to_bytes(NOTHING, [ProjectRenamed(name="x" * codec.LIMIT)], META)


def damage(**changes: object) -> bytes:
    body = json.loads(codec.to_bytes(NOTHING, EVENTS, META)) | changes
    return json.dumps({key: value for key, value in body.items() if value is not ...}).encode()


WHOLE = codec.to_bytes(NOTHING, EVENTS, META)
DAMAGED = {
    "nothing": b"",
    "half": WHOLE[: len(WHOLE) // 2],
    "zeros": bytes(len(WHOLE)),
    "no object": b"[]",
    "no commit": damage(commit=...),
    "no actor": damage(actor=None),
    "no time": damage(at="yesterday"),
    "no events": damage(events=None),
    "an event without data": damage(events=[{"t": "project.created", "v": 1}]),
    "an event with a wrong field": damage(
        events=[{"t": "project.created", "v": 1, "d": {"name": "a", "enviroment": "e"}}]
    ),
    "an event of no version": damage(events=[{"t": "project.created", "v": None, "d": {}}]),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_bytes_that_nobody_wrote_are_damage(what: str):
    with pytest.raises(Damaged, match=r"sequence 7 of evt\.org\.project\.p1"):
        _ = codec.from_bytes(str(SUBJECT), 7, DAMAGED[what]).events
