"""Where an error stands: JSON pointers from the locations of validation."""

from typing import Any

import pytest
from api_gateway.http.problem import place_of, pointer
from api_gateway.http.schema import NAMED_KINDS
from api_gateway.services.kinds import ChangedService, NewService
from pydantic import TypeAdapter, ValidationError


@pytest.mark.parametrize(
    ("location", "body", "expected"),
    [
        (("query", "limit"), None, "?limit"),
        (("header", "if-match"), None, "if-match"),
        (("body",), {}, ""),
        (("body", "items", 3, "name"), {"items": [{}, {}, {}, {"name": 1}]}, "/items/3/name"),
        (("body", "a/b"), {"a/b": 1}, "/a~1b"),
        (("body", "a~b"), {"a~b": 1}, "/a~0b"),
        (("body", "command", "str"), {"command": {}}, "/command"),
    ],
)
def test_a_location_is_a_pointer(location: Any, body: Any, expected: str):
    assert pointer(location, body) == expected


WEB = {"kind": "application", "name": "web", "source": {"kind": "image", "image": "nginx"}}
GIT = {"kind": "git", "url": "https://a.example/a.git"}
KINDS = ", ".join(NAMED_KINDS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"source": {"kind": "image", "image": 5}}, "/source/image"),
        ({"source": {"kind": "image"}}, "/source/image"),
        ({"source": {"kind": "image", "image": "a", "x": 1}}, "/source/x"),
        ({"source": {**GIT, "url": "ftp://a"}}, "/source/url"),
        ({"source": {**GIT, "path": "../x"}}, "/source/path"),
        ({"source": {"kind": "git"}}, "/source/url"),
        ({"source": {"kind": "svn"}}, "/source/kind"),
        ({"source": {}}, "/source/kind"),
        ({"source": {"url": GIT["url"]}}, "/source/kind"),
        ({"kind": "database"}, "/kind"),
        ({"kind": None}, "/kind"),
        ({"source": "git"}, "/source"),
        ({"source": GIT, "build": {"kind": "static", "directory": 5}}, "/build/directory"),
        ({"source": GIT, "build": {"kind": "dockerfile", "args": {"A": 1}}}, "/build/args/A"),
        ({"memory_limit": {}}, "/memory_limit"),
        ({"memory_limit": "1"}, "/memory_limit"),
        ({"port": "80"}, "/port"),
        ({"port": 0}, "/port"),
        ({"command": [1]}, "/command/0"),
        ({"command": 5}, "/command"),
        ({"command": "echo 'open"}, "/command"),
        ({"health_check": {"path": "/", "command": ["x"]}}, "/health_check"),
        ({"health_check": {"interval": 0}}, "/health_check/interval"),
    ],
)
def test_unions_do_not_show_in_pointers(change: Any, expected: str):
    body = {**WEB, **change}
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(NewService).validate_python(body)
    found = {
        place_of({**error, "loc": ("body", *error["loc"])}, body) for error in raised.value.errors()
    }
    assert expected in found
    assert all(expected.startswith(other) for other in found)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"kind": "database"}, f"names no kind of service that there is; there are: {KINDS}"),
        (
            {"source": {"url": GIT["url"]}},
            "has to say what kind of source it is; there are: git, image",
        ),
    ],
)
def test_a_kind_that_is_wrong_is_told_with_those_that_are(change: Any, detail: str):
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(NewService).validate_python({**WEB, **change})
    assert [error["msg"] for error in raised.value.errors()] == [detail]


def test_a_missing_kind_is_told_in_plain_words():
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(NewService).validate_python({"name": "web"})
    said = f"has to say what kind of service it is; there are: {KINDS}"
    assert [error["msg"] for error in raised.value.errors()] == [said]


@pytest.mark.parametrize("name", ["name", "source", "replicas"])
def test_null_is_no_value_for_what_is_always_there(name: str):
    with pytest.raises(ValidationError) as raised:
        ChangedService.model_validate({name: None})
    assert raised.value.errors()[0]["loc"] == (name,)
