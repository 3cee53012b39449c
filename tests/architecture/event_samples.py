"""Golden samples: for each version of each event a file with a list of what was stored.

`make api` writes the samples that are missing, the shapes of today and docs/events.md. A sample
that is there is never rewritten: it stands for what some version stored. `make release-schema`
writes the shapes, with hashes of the samples, as those of a release."""

import functools
import hashlib
import json
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from slipway.contracts.event import REGISTRY, Event, encode
from slipway.contracts.streams import APPENDS

from tests.architecture import event_shapes

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/events"
SCHEMA = GOLDEN / "schema.json"
RELEASED = GOLDEN / "released.json"
DOCUMENT = ROOT / "docs/events.md"
_PLAIN: dict[Any, tuple[Any, ...]] = {str: (), int: (7,), float: (2.5,), bool: (True, False)}


def plain(annotation: Any) -> Any:
    """The annotation without its name and metadata."""
    if isinstance(annotation, typing.TypeAliasType):
        return plain(annotation.__value__)
    if typing.get_origin(annotation) is typing.Annotated:
        return plain(typing.get_args(annotation)[0])
    return annotation


def hints(cls: type[BaseModel]) -> dict[str, Any]:
    found = typing.get_type_hints(cls, include_extras=True)
    return {name: found[name] for name in cls.model_fields}


def values(annotation: Any, name: str) -> tuple[Any, ...]:
    """Values that together show each alternative at least once: each arm of a union, each
    literal, each optional with and without its value, each list with one item and with none."""
    annotation = plain(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return arguments
    if origin in (typing.Union, types.UnionType):
        return tuple(value for arm in arguments for value in values(arm, name))
    if origin is tuple and arguments[1:] == (...,):
        return (*((value,) for value in values(arguments[0], name)), ())
    if origin is dict:
        return (*({"KEY": value} for value in values(arguments[1], name)), {})
    if annotation is type(None):
        return (None,)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return tuple(instances(annotation))
    return _PLAIN[annotation] or (f"{name}-1",)


def instances[M: BaseModel](cls: type[M]) -> Iterator[M]:
    """As many as the field with the most alternatives needs; every field goes through its own."""
    fields = {name: values(annotation, name) for name, annotation in hints(cls).items()}
    for number in range(max(map(len, fields.values()), default=1)):
        yield cls(**{name: each[number % len(each)] for name, each in fields.items()})


def shown(annotation: Any, data: Any, where: str) -> Iterator[str]:
    """The alternatives that stored data shows. A field that came later shows none."""
    annotation = plain(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    yield where
    if origin is typing.Literal or annotation is bool:
        yield f"{where}={data}"
    elif origin in (typing.Union, types.UnionType):
        for arm in [arm for arm in arguments if _fits(arm, data)][:1]:
            yield f"{where}:{getattr(arm, '__name__', arm)}"
            yield from shown(arm, data, where)
    elif origin in (tuple, dict):
        items = list(data.values()) if origin is dict else data
        yield f"{where}[{min(len(items), 1)}]"
        for item in items:
            yield from shown(arguments[origin is dict], item, f"{where}[]")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, each in hints(annotation).items():
            if name in data:
                yield from shown(each, data[name], f"{where}.{name}")


def _fits(arm: Any, data: Any) -> bool:
    try:
        _adapter(arm).validate_python(data, extra="ignore")
    except ValidationError:
        return False
    return True


_adapter = functools.cache(TypeAdapter)


def alternatives(cls: type[Event]) -> dict[str, dict[str, Any]]:
    """Each alternative of an event, with the first sample made that shows it."""
    found: dict[str, dict[str, Any]] = {}
    for event in instances(cls):
        stored = encode(event)
        for alternative in shown(cls, stored["d"], ""):
            found.setdefault(alternative, stored)
    return found


def missing(cls: type[Event], samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Samples to add, so that each alternative is shown."""
    have = {alternative for sample in samples for alternative in shown(cls, sample["d"], "")}
    added: list[dict[str, Any]] = []
    for alternative, sample in alternatives(cls).items():
        if alternative not in have:
            added.append(sample)
            have.update(shown(cls, sample["d"], ""))
    return added


def path_of(cls: type[Event]) -> Path:
    return GOLDEN / f"{cls.type}.v{cls.v}.json"


def samples_of(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text()) if file.exists() else []


def hashes() -> dict[str, list[str]]:
    return {file.stem: list(map(hash_of, samples_of(file))) for file in GOLDEN.glob("*.v*.json")}


def hash_of(sample: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(sample, sort_keys=True).encode()).hexdigest()[:16]


def document() -> str:
    lines = [
        "# Events",
        "",
        "Generated from `shared/slipway/contracts`; `make api` writes it anew. Fields in **bold**",
        "are public: they leave the installation by subscriptions and the event stream. Inside,",
        "a commit carries 1..n events of one aggregate on `evt.<organization>.<category>.<id>`.",
        "",
    ]
    writers = {category: service for service, cs in APPENDS.items() for category in cs}
    by_category: dict[str, list[type[Event]]] = {}
    for name, cls in sorted(REGISTRY.items()):
        by_category.setdefault(name.split(".")[0], []).append(cls)
    for category, classes in by_category.items():
        lines += [f"## {category}", "", f"Appended by {writers[category]} alone.", ""]
        lines += ["| event | version | fields | meaning |", "|---|---|---|---|"]
        for cls in classes:
            fields = ", ".join(
                f"**{field}**" if field in cls.public else field for field in cls.model_fields
            )
            inherited = cls.__doc__ if "__doc__" in cls.__dict__ else ""
            meaning = " ".join((inherited or "").split())
            lines.append(f"| `{cls.type}` | {cls.v} | {fields or '-'} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def schema() -> str:
    return event_shapes.text(event_shapes.document()) + "\n"


def write() -> None:
    for cls in REGISTRY.values():
        samples = samples_of(path_of(cls))
        if added := missing(cls, samples):
            rows = (json.dumps(sample, sort_keys=True) for sample in samples + added)
            path_of(cls).write_text("[\n" + ",\n".join(rows) + "\n]\n")
    SCHEMA.write_text(schema())
    DOCUMENT.write_text(document())


def release(first: bool) -> None:
    """Holds all later shapes against those of now. Refuses what a release may not change, unless
    nothing has been released before: then `make release-schema FIRST=1` begins again, with new
    samples too."""
    if first:
        for file in GOLDEN.glob("*.v*.json"):
            file.unlink()
        write()
    now = event_shapes.document()
    found = list(event_shapes.changes(json.loads(RELEASED.read_text()), now)) if not first else []
    for change in found:
        print("allowed:" if change.allowed else "REFUSED:", change)
    if not all(change.allowed for change in found):
        raise SystemExit(event_shapes.REMEDY)
    RELEASED.write_text(event_shapes.text({**now, "samples": hashes()}) + "\n")


if __name__ == "__main__":
    write()
    if "--release" in sys.argv:
        release("--first" in sys.argv)
