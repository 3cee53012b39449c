"""`python -m tests.architecture.event_samples`: writes the schema snapshot, samples of events
that have none yet, and docs/events.md. A sample that is there is never rewritten: it stands for
what a released version stored."""

import json
import types
import typing
from pathlib import Path
from typing import Any

import slipway.contracts as _contracts
from pydantic import BaseModel
from slipway.contracts.event import REGISTRY, Event, encode
from slipway.contracts.streams import APPENDS

assert _contracts

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/events"
SNAPSHOT = GOLDEN / "schema.json"
DOCUMENT = ROOT / "docs/events.md"


def schemas() -> dict[str, Any]:
    return {
        name: {"v": cls.v, "public": sorted(cls.public), "schema": cls.model_json_schema()}
        for name, cls in sorted(REGISTRY.items())
    }


def sample_value(annotation: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, typing.TypeAliasType):
        return sample_value(annotation.__value__, name)
    if origin is typing.Annotated:
        return sample_value(arguments[0], name)
    if origin is typing.Literal:
        return arguments[0]
    if origin in (typing.Union, types.UnionType):
        return sample_value(next(a for a in arguments if a is not type(None)), name)
    if origin is tuple:
        return (sample_value(arguments[0], name),)
    if origin is dict:
        return {"KEY": sample_value(arguments[1], name)}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return sample(annotation)
    return {str: f"{name}-1", int: 7, float: 2.5, bool: True}[annotation]


def sample[M: BaseModel](cls: type[M]) -> M:
    """An instance with every field set, the optional ones too."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {n: hints[n] for n in cls.model_fields}
    return cls(**{name: sample_value(annotation, name) for name, annotation in fields.items()})


def path_of(cls: type[Event]) -> Path:
    return GOLDEN / f"{cls.type}.v{cls.v}.json"


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


def snapshot() -> str:
    return json.dumps(schemas(), indent=1, sort_keys=True) + "\n"


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    SNAPSHOT.write_text(snapshot())
    for cls in REGISTRY.values():
        if not (file := path_of(cls)).exists():
            file.write_text(json.dumps(encode(sample(cls)), indent=1, sort_keys=True) + "\n")
    DOCUMENT.write_text(document())


if __name__ == "__main__":
    main()
