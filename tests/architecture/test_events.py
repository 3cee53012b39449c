"""What was ever stored stays readable; no shape changes in silence."""

import json
from pathlib import Path
from typing import Any

import pytest
from slipway.contracts.event import REGISTRY, Unknown, decode, encode
from slipway.contracts.streams import APPENDS

from tests.architecture import event_samples

STORED = json.loads(event_samples.SNAPSHOT.read_text())
SAMPLES = sorted(event_samples.GOLDEN.glob("*.v*.json"))
ANEW = "run `make api` and look at what changed"


def incompatibilities(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why data of the old schema may not be valid in the new one of the same version."""
    found = []
    for name, shape in {"": old, **old.get("$defs", {})}.items():
        now = new if name == "" else new.get("$defs", {}).get(name, {})
        properties = now.get("properties", {})
        for field, before in shape.get("properties", {}).items():
            if field not in properties:
                found.append(f"{name}.{field} is gone")
            elif {k: v for k, v in before.items() if k in ("type", "$ref")} != {
                k: v for k, v in properties[field].items() if k in ("type", "$ref")
            }:
                found.append(f"{name}.{field} has another type")
        fresh = set(now.get("required", ())) - set(shape.get("required", ()))
        found += [f"{name}.{field} became required" for field in sorted(fresh)]
    return found


def test_no_released_event_changed_incompatibly():
    now = event_samples.schemas()
    broken = []
    for name, was in STORED.items():
        if name not in now or now[name]["v"] < was["v"]:
            broken.append(f"{name} v{was['v']} is gone")
        elif now[name]["v"] == was["v"]:
            problems = incompatibilities(was["schema"], now[name]["schema"])
            broken += [f"{name}: {problem}: needs a new version" for problem in problems]
    assert broken == []


def test_an_incompatible_change_is_found():
    old = {"properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert incompatibilities(old, {"properties": {}})
    assert incompatibilities(old, {"properties": {"a": {"type": "integer"}}})
    grown = {"properties": {"a": {"type": "string"}, "b": {}}, "required": ["a", "b"]}
    assert incompatibilities(old, grown)
    assert not incompatibilities(old, {**grown, "required": ["a"]})


def test_the_snapshot_and_the_document_are_of_today():
    assert event_samples.SNAPSHOT.read_text() == event_samples.snapshot(), ANEW
    assert event_samples.DOCUMENT.read_text() == event_samples.document(), ANEW


@pytest.mark.parametrize("file", SAMPLES, ids=lambda path: path.stem)
def test_every_version_ever_released_is_read(file: Path):
    stored = json.loads(file.read_text())
    event = decode(stored)
    assert not isinstance(event, Unknown)
    if stored["v"] == event.v:
        assert within(encode(event)["d"], stored["d"]), "what was stored is read as it was"


def within(now: Any, stored: Any) -> bool:
    """All that was stored is there; fields which came later may be there too."""
    if isinstance(stored, dict):
        return all(name in now and within(now[name], value) for name, value in stored.items())
    return now == stored


def test_every_event_has_a_sample_and_a_writer():
    categories = {category for owned in APPENDS.values() for category in owned}
    for name, cls in REGISTRY.items():
        assert event_samples.path_of(cls).exists(), f"{name}: {ANEW}"
        assert name.split(".")[0] in categories


def test_no_category_has_two_writers():
    owned = [category for categories in APPENDS.values() for category in categories]
    assert len(owned) == len(set(owned))
