"""While an installation is upgraded, older programs read what newer ones write. Here yesterday's
reader, made from today's events by leaving out what may be added, reads today's samples."""

import copy
import functools
import operator
import typing
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from slipway.contracts.event import REGISTRY, Event, Unknown, Value, decode, encode
from slipway.contracts.logs import LogLine
from slipway.contracts.values import DockerfileBuild, GitSource, StaticBuild

from tests.architecture.event_samples import hints, instances, plain

IMAGE = {"kind": "image", "image": "i"}
SAMPLES = [(name, event) for name, cls in sorted(REGISTRY.items()) for event in instances(cls)]


def without_optional(annotation: Any) -> Any:
    """The type as it was before each of its fields that may be left out, in every depth."""
    annotation = plain(annotation)
    arguments = typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        kept = {
            name: (without_optional(each), ...)
            for name, each in hints(annotation).items()
            if annotation.model_fields[name].is_required()
        }
        kinds = {
            name: (each, annotation.model_fields[name].default)
            for name, each in hints(annotation).items()
            if name == "kind" and name not in kept  # tells the arms of a union apart
        }
        fields: Any = kept | kinds
        return create_model(annotation.__name__, __base__=base_of(annotation), **fields)
    if typing.get_origin(annotation) is tuple:
        return tuple[without_optional(arguments[0]), ...]
    if is_choice(annotation):
        return union(tuple(without_optional(arm) for arm in arguments))
    return annotation


def without_newest(annotation: Any) -> Any:
    """The type as it was before the last of several literals and alternatives, in every depth."""
    annotation = plain(annotation)
    arguments = typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields: Any = {
            name: (without_newest(each), default_of(annotation.model_fields[name]))
            for name, each in hints(annotation).items()
        }
        return create_model(annotation.__name__, __base__=base_of(annotation), **fields)
    if typing.get_origin(annotation) is typing.Literal:
        return typing.Literal[arguments[:-1] or arguments]
    if typing.get_origin(annotation) is tuple:
        return tuple[without_newest(arguments[0]), ...]
    if is_choice(annotation):
        arms = tuple(without_newest(arm) for arm in arguments)
        several = type(None) not in arms
        return union((*arms[:-1], Another) if several else arms)
    return annotation


def default_of(field: FieldInfo) -> Any:
    return ... if field.is_required() else field.get_default(call_default_factory=True)


def base_of(cls: type[BaseModel]) -> type[BaseModel]:
    return next(base for base in cls.__mro__ if base.__module__ == Event.__module__)


def is_choice(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, type(int | str))


class Another(Value):
    """Takes the newest alternative's place, so that what is left is a union still."""

    kind: typing.Literal["another"] = "another"


def union(arms: tuple[Any, ...]) -> Any:
    told_apart = all("kind" in getattr(arm, "model_fields", ()) for arm in arms)
    both = functools.reduce(operator.or_, arms)
    return typing.Annotated[both, Field(discriminator="kind")] if told_apart else both


@pytest.fixture
def yesterday(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    def install(name: str, older: Any) -> None:
        monkeypatch.setitem(REGISTRY, name, older)

    return install


@pytest.mark.parametrize(("name", "event"), SAMPLES)
def test_a_field_that_came_later_is_ignored(name: str, event: Event, yesterday: Any):
    stored = encode(event)
    yesterday(name, without_optional(REGISTRY[name]))
    read = decode(stored)
    assert not isinstance(read, Unknown)
    assert set(type(read).model_fields) <= set(type(event).model_fields)
    assert contained(read.model_dump(mode="json"), stored["d"])


def contained(read: Any, stored: Any) -> bool:
    if isinstance(read, dict):
        return all(contained(value, stored[name]) for name, value in read.items())
    if isinstance(read, list):
        return all(map(contained, read, stored))
    return read == stored


def test_yesterdays_reader_knows_less():
    """Else the test above would show nothing."""
    older = without_optional(REGISTRY["deployment.requested"])
    assert "repeats" not in older.model_fields
    specification = older.model_fields["specification"].annotation
    assert set(specification.model_fields) == {"name", "settings"}
    with pytest.raises(ValidationError, match="Extra inputs"):
        older.model_validate(encode(event_of("deployment.requested"))["d"])


@pytest.mark.parametrize(("name", "event"), SAMPLES)
def test_a_literal_or_alternative_that_came_later_makes_an_unknown_event(
    name: str, event: Event, yesterday: Any
):
    stored = encode(event)
    yesterday(name, without_newest(REGISTRY[name]))
    read = decode(stored)
    if isinstance(read, Unknown):
        assert (read.name, read.data) == (name, stored["d"])
    else:
        assert read.model_dump(mode="json") == stored["d"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("deployment.stop_requested", {"service": "a", "reason": "expired"}),
        ("deployment.requested", {"trigger": {"kind": "start"}}),
        ("deployment.requested", {"specification": {"settings": {"source": IMAGE}}}),
    ],
)
def test_such_an_event_is_unknown_to_yesterdays_reader(
    name: str, data: dict[str, Any], yesterday: Any
):
    stored = encode(event_of(name))
    stored["d"] = merged(stored["d"], data)
    assert not isinstance(decode(stored), Unknown)
    yesterday(name, without_newest(REGISTRY[name]))
    assert isinstance(decode(stored), Unknown)


def test_a_second_kind_of_what_had_one_makes_an_unknown_event():
    stored = encode(event_of("service.configured"))
    stored["d"]["settings"] = {"kind": "cron", "schedule": "@daily"}
    assert decode(stored) == Unknown(name="service.configured", data=stored["d"])
    del stored["d"]["settings"]
    with pytest.raises(ValidationError):
        decode(stored)


def merged(data: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        name: merged(data[name], value)
        if isinstance(value, dict) and "kind" not in value
        else value
        for name, value in over.items()
    }
    return data | both


def event_of(name: str) -> Event:
    return next(event for each, event in SAMPLES if each == name)


def test_what_is_broken_stays_an_error():
    stored = encode(event_of("deployment.requested"))
    broken = copy.deepcopy(stored)
    del broken["d"]["specification"]["name"]
    broken["d"]["trigger"]["kind"] = "a newer one"
    with pytest.raises(ValidationError):
        decode(broken)


def test_a_misspelt_field_is_an_error_where_an_event_is_made():
    with pytest.raises(ValidationError, match="Extra inputs"):
        GitSource(url="u", brnach="main")  # pyright: ignore[reportCallIssue]


def test_a_log_line_of_a_newer_program_is_read():
    line = {"at": "2030-01-01T00:00:00Z", "text": "hello", "level": "info"}
    assert LogLine.from_stored(line) == LogLine(at="2030-01-01T00:00:00Z", text="hello")


def test_what_is_said_anew_is_held_to_more_than_what_was_stored():
    """A validator that no schema shows may become stricter: the log is read all the same."""
    with pytest.raises(ValidationError):
        StaticBuild(directory="a/../b")
    assert StaticBuild.from_stored({"directory": "a/../b"}).directory == "a/../b"
    for said in ({"directory": "x" * 401}, {"directory": "a\n"}):
        with pytest.raises(ValidationError):
            StaticBuild.model_validate(said)
        assert StaticBuild.from_stored(said).directory == said["directory"]
    args = {f"A{number}": "1" for number in range(101)}
    with pytest.raises(ValidationError):
        DockerfileBuild(args=args)
    assert DockerfileBuild.from_stored({"args": args, "target": "x" * 101}).args == args
