"""What a text may hold is said in words, whatever checks it."""

from collections.abc import Iterator
from typing import Any

import pytest
from api_gateway.app import FEATURES
from api_gateway.http.application import build
from api_gateway.http.patterns import ALLOWED
from api_gateway.http.problem import plain

from tests.contract.test_api import PASSWORD, Platform, bare, platform

_fixtures = (bare, platform)


def _patterns(node: Any) -> Iterator[str]:
    match node:
        case dict():
            if isinstance(node.get("pattern"), str):
                yield node["pattern"]
            yield from node.get("patternProperties", ())
            for each in node.values():
                yield from _patterns(each)
        case list():
            for each in node:
                yield from _patterns(each)
        case _:
            pass


def test_each_pattern_of_the_api_has_a_sentence_and_no_other():
    described = build(None, FEATURES).openapi()  # pyright: ignore[reportArgumentType]
    assert set(_patterns(described)) == set(ALLOWED)


@pytest.mark.parametrize("pattern", sorted(ALLOWED))
def test_a_refusal_shows_no_pattern(pattern: str):
    words = plain({"type": "string_pattern_mismatch", "ctx": {"pattern": pattern}, "msg": pattern})
    assert words == ALLOWED[pattern]
    assert not {"^", "[", "\\"} & set(words)


@pytest.mark.parametrize(
    ("path", "body", "pointer", "words"),
    [
        (
            "/v1/environments/{environment}/services",
            {"kind": "application", "name": "My App", "source": {"kind": "image", "image": "a"}},
            "/name",
            "small letters",
        ),
        ("/v1/services/{id}/domains", {"host": "a.b", "path": "x y"}, "/path", "with a slash"),
        ("/v1/services/{id}/variables", {"items": [{"name": "1"}]}, "/items/0/name", "no digit"),
    ],
)
async def test_what_is_allowed_is_said(
    platform: Platform, path: str, body: Any, pointer: str, words: str
):
    service = await platform.service()
    method = "PUT" if "items" in body else "POST"
    answer = await platform.call(method, path.format_map(service), body)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, pointer)
    assert words in error["detail"]


UNSEEN = {
    "C1": "a\x85b", "escape": "a\x1b[31m", "bidi override": "a\u202eb", "isolate": "a\u2066b",
    "zero width": "a\u200bb", "joiner": "a\u200db", "byte order mark": "\ufeffa",
    "soft hyphen": "a\u00adb", "line separator": "a\u2028b", "filler": "\u3164",
    "tag": "a\U000e0041",
}  # fmt: skip


@pytest.mark.parametrize("letters", UNSEEN.values(), ids=UNSEEN)
async def test_a_name_holds_nothing_that_cant_be_seen(platform: Platform, letters: str):
    project = await platform.ok("POST", "/v1/projects", {"name": "Shop"})
    environment = project["environments"][0]["id"]
    for method, path in (
        ("POST", "/v1/projects"),
        ("PATCH", f"/v1/projects/{project['id']}"),
        ("POST", f"/v1/projects/{project['id']}/environments"),
        ("PATCH", f"/v1/environments/{environment}"),
        ("POST", "/v1/tokens"),
    ):
        answer = await platform.call(method, path, {"name": letters})
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["pointer"]) == (422, "/name"), path
        assert "control characters" in error["detail"]


@pytest.mark.parametrize("letters", ["Grüße 世界", "مشروع", "Ünïcode ❤️ 🚀", "e\u0301"])
async def test_a_name_is_in_any_writing(platform: Platform, letters: str):
    made = await platform.ok("POST", "/v1/projects", {"name": letters})
    assert made["name"] == letters


@pytest.mark.parametrize("field", ["organization", "email"])
async def test_the_setup_holds_to_it_too(bare: Platform, field: str):
    body = {"token": "once", "email": "a@b.c", "password": PASSWORD, "organization": "A"}
    answer = await bare.call("POST", "/v1/setup", {**body, field: "a\u202e@b"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{field}")
