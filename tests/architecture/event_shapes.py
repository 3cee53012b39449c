"""The shapes of all events as one document, and what changed between two such documents.

A document is `{"events": {type: {v, public, …JSON Schema}}, "$defs": {value: JSON Schema}}`: a
value that many events carry stands there once. Titles and descriptions are no part of a shape."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import slipway.contracts as _contracts
from pydantic.json_schema import models_json_schema
from slipway.contracts.event import REGISTRY
from slipway.contracts.said import MARK

assert _contracts

type Schema = dict[str, Any]
_NOTHING = object()
REMEDY = (
    "A stored event keeps its shape. Count up the event's `v`, leave its samples as they are, add "
    "to UPCASTERS[type, former version] a pure function from the former version's data to the new "
    "one's, and run `make api` for samples of the new version."
)


@dataclass(frozen=True)
class Change:
    """One difference at `where` (event, then fields). One that isn't `allowed` needs a new version
    of the event."""

    where: str
    what: str
    allowed: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def document() -> Schema:
    """The shapes of today's code."""
    models = [(cls, "validation") for cls in REGISTRY.values()]
    _, schema = models_json_schema(models)  # pyright: ignore[reportArgumentType]
    shapes = {name: _bare(shape) for name, shape in schema["$defs"].items()}
    events = {
        name: {"v": cls.v, "public": sorted(cls.public), **shapes.pop(cls.__name__)}
        for name, cls in REGISTRY.items()
    }
    return {"events": events, "$defs": shapes}


def _bare(shape: Any) -> Any:
    if not isinstance(shape, dict):
        return [_bare(each) for each in shape] if isinstance(shape, list) else shape
    named = "properties"  # the names in it are fields, which may be called title
    apart = {"title", "description"}
    if MARK in shape:  # not asked of what is stored
        apart |= {MARK, "maxLength", "maxItems", "maxProperties", "pattern"}
    return {
        key: {n: _bare(s) for n, s in each.items()} if key == named else _bare(each)
        for key, each in shape.items()
        if key not in apart
    }


def text(node: Any, depth: int = 4) -> str:
    """JSON with a line for each field, so that a changed one is one changed line."""
    if depth == 0 or not isinstance(node, dict) or not node:
        return json.dumps(node, sort_keys=True)
    lines = ",\n".join(f"{json.dumps(key)}: {text(node[key], depth - 1)}" for key in sorted(node))
    return "{\n " + lines.replace("\n", "\n ") + "\n}"


def changes(old: Schema, new: Schema) -> Iterator[Change]:
    """What a reader of the one document meets in data of the other, event by event."""
    for name in sorted(old["events"].keys() | new["events"].keys()):
        was, now = old["events"].get(name), new["events"].get(name)
        if was is None:
            yield Change(name, "a new event", allowed=True)
        elif now is None:
            yield Change(name, "is gone; what is stored must stay readable")
        elif now["v"] != was["v"]:
            yield Change(name, f"v{was['v']} became v{now['v']}", allowed=now["v"] > was["v"])
        else:
            yield from _public(name, was["public"], now["public"])
            yield from _compare(name, _fields_of(was, old), _fields_of(now, new))


def _fields_of(event: Schema, within: Schema) -> Schema:
    return _inline({k: v for k, v in event.items() if k not in {"v", "public"}}, within)


def _public(where: str, was: list[str], now: list[str]) -> Iterator[Change]:
    for field in was:
        if field not in now:
            yield Change(f"{where}.{field}", "is no longer public; subscribers may read it")
    for field in now:
        if field not in was:
            yield Change(f"{where}.{field}", "is public now", allowed=True)


def _inline(shape: Any, within: Schema, inside: tuple[str, ...] = ()) -> Any:
    """The shape with each `$ref` replaced by what it names, so that a change of a value is found
    in each event that carries it, and its mere renaming in none."""
    if isinstance(shape, list):
        return [_inline(each, within, inside) for each in shape]
    if not isinstance(shape, dict):
        return shape
    if "$ref" in shape:
        name = shape["$ref"].removeprefix("#/$defs/")
        if name in inside:
            return {"recursive": name}
        rest = {key: each for key, each in shape.items() if key != "$ref"}
        return _inline({**within["$defs"][name], **rest}, within, (*inside, name))
    if "discriminator" in shape:
        by = shape["discriminator"]
        arms = {tag: {"$ref": ref} for tag, ref in by["mapping"].items()}
        shape = {k: v for k, v in shape.items() if k not in {"discriminator", "oneOf"}}
        shape |= {"by": by["propertyName"], "arms": arms}
    if "const" in shape:
        shape = {k: v for k, v in shape.items() if k != "const"} | {"enum": [shape["const"]]}
    return {
        key: each if key == "default" else _inline(each, within, inside)
        for key, each in shape.items()
    }


def _compare(where: str, old: Schema, new: Schema, tolerated: bool = True) -> Iterator[Change]:
    """`tolerated` is False inside a union without discriminator: there a reader can't tell what is
    newer than itself from what is broken."""
    if "arms" in old or "arms" in new:
        by = str(old.get("by") or new.get("by"))
        old, new = _as_union(old, by), _as_union(new, by)
    yield from _required(where, old, new)
    for key in sorted((old.keys() | new.keys()) - {"required"}):
        was, now = old.get(key, _NOTHING), new.get(key, _NOTHING)
        match key, was, now:
            case _ if was == now:
                continue
            case "properties", dict(), dict():
                yield from _fields(where, was, now, tolerated)
            case "enum", list(), list():
                yield from _literals(where, was, now, tolerated)
            case "arms", dict(), dict():
                yield from _arms(where, was, now, tolerated)
            case (("items" | "additionalProperties"), dict(), dict()):
                yield from _compare(f"{where}[]", was, now, tolerated)
            case "anyOf", list(), list() if len(was) == len(now):
                alone = tolerated and len([arm for arm in was if arm != {"type": "null"}]) == 1
                for one, other in zip(was, now, strict=True):
                    yield from _compare(where, one, other, alone)
            case "default", dict(), dict() if within(now, was):
                continue  # a value with a new field of its own
            case _:
                yield Change(where, f"{key} {_short(was)} became {_short(now)}")


def _as_union(shape: Schema, by: str) -> Schema:
    """A value that says its kind is stored as the only alternative of a union would be."""
    kinds = shape.get("properties", {}).get(by, {}).get("enum", ())
    if "arms" in shape or len(kinds) != 1:
        return shape
    outer = {"default": shape["default"]} if "default" in shape else {}
    return {
        "by": by,
        "arms": {kinds[0]: {k: v for k, v in shape.items() if k not in outer}},
        **outer,
    }


def within(now: Any, stored: Any) -> bool:
    """All that was stored is there; fields which came later may be there too."""
    if isinstance(stored, dict) and isinstance(now, dict):
        return all(name in now and within(now[name], value) for name, value in stored.items())
    return now == stored


def _short(value: Any) -> str:
    return "nothing" if value is _NOTHING else json.dumps(value, sort_keys=True)[:80]


def _fields(where: str, was: Schema, now: Schema, tolerated: bool) -> Iterator[Change]:
    for field in sorted(was.keys() | now.keys()):
        if field not in now:
            yield Change(f"{where}.{field}", "is gone")
        elif field in was:
            yield from _compare(f"{where}.{field}", was[field], now[field], tolerated)
        else:  # `_required` refuses one that must be there
            yield Change(f"{where}.{field}", "a new field", allowed=True)


def _required(where: str, old: Schema, new: Schema) -> Iterator[Change]:
    was, now = set(old.get("required", ())), set(new.get("required", ()))
    for field in sorted(now - was):
        yield Change(f"{where}.{field}", "is required now; what is stored may lack it")
    for field in sorted((was - now) & new.get("properties", {}).keys()):
        yield Change(f"{where}.{field}", "is no longer required; older readers need it")


# A new literal, and a new arm of a discriminated union, are allowed although an older reader can't
# read them: `event.made` gives it an Unknown, which folds skip. That is all it could do with a new
# version of the event too, which each new source, builder or kind would else need in every event.


def _literals(where: str, was: list[Any], now: list[Any], tolerated: bool) -> Iterator[Change]:
    for literal in was:
        if literal not in now:
            yield Change(where, f"{literal!r} is gone")
    for literal in now:
        if literal not in was:
            yield Change(where, f"{literal!r} is new", allowed=tolerated)


def _arms(where: str, was: Schema, now: Schema, tolerated: bool) -> Iterator[Change]:
    for tag in sorted(was.keys() | now.keys()):
        if tag not in now:
            yield Change(where, f"the alternative {tag!r} is gone")
        elif tag not in was:
            yield Change(where, f"the alternative {tag!r} is new", allowed=tolerated)
        else:
            yield from _compare(f"{where}<{tag}>", was[tag], now[tag], tolerated)
