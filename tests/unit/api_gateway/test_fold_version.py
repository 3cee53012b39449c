"""A projection's version changes with the code that it folds with, and with no other."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from api_gateway import fold_version
from api_gateway.app import FEATURES
from api_gateway.fold_version import Sources, version
from slipway.contracts.event import UPCASTERS
from slipway.readmodel.model import Projection

ROOT = Path(__file__).parents[3]
CODE = {
    "api_gateway": ROOT / "services/api-gateway/api_gateway",
    "slipway": ROOT / "shared/slipway",
}
NAMED = {decider.category for decider in FEATURES.deciders}
NAMED |= {"rollout", "route", "timeline", "newest"}
PROJECTIONS = {one.collection: one for one in FEATURES.projections if one.collection in NAMED}
"""Those that what follows speaks of: another one of its own folds by none of it."""


@functools.cache
def now() -> dict[str, str]:
    """The versions by the code as it is."""
    sources = Sources(fold_version._path)
    return {name: version(projection, sources) for name, projection in PROJECTIONS.items()}


DECODING = [
    ("slipway/contracts/event.py", "version > cls.v", "version >= cls.v"),
    ("slipway/contracts/event.py", "if not _newer(error)", "if _newer(error)"),
    ("slipway/contracts/event.py", '"union_tag_invalid"}', '"union_tag_not_found"}'),
    ("slipway/eventstore/codec.py", 'body["version"]', 'body["v"]'),
    ("slipway/readmodel/model.py", 'found["_id"], found["_seq"] = key,', 'found["_seq"] ='),
    ("slipway/kernel/envelope.py", "if self._events is None:", "if not self._events:"),
]


def upcast(data: dict[str, Any]) -> dict[str, Any]:
    return data


upcast.__module__ = "api_gateway.names"  # where it would stand: among our own code


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[str, str, str], Sources]:
    """The code with one text changed in one of its files."""
    for package, folder in CODE.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(folder, tmp_path / package, ignore=ignored)

    def change(file: str, old: str, new: str) -> Sources:
        path = tmp_path / file
        assert old in path.read_text(), file
        path.write_text(path.read_text().replace(old, new))
        return Sources(find)

    def find(module: str) -> Path | None:
        path = tmp_path.joinpath(*module.split("."))
        for found in (path.with_suffix(".py"), path / "__init__.py"):
            if found.exists():
                return found
        return None

    return change


def changed(sources: Sources) -> set[str]:
    """The collections whose documents are built anew."""
    return {name for name, one in PROJECTIONS.items() if version(one, sources) != now()[name]}


@pytest.mark.parametrize(
    ("file", "old", "new", "collections"),
    [
        # its own domain
        ("api_gateway/projects/domain.py", '"phase": "deleting"', '"phase": "going"',
         {"project", "environment"}),
        # the fold itself
        ("api_gateway/deployments/projections.py", "marks[event] = at", "marks[event] = key",
         {"timeline"}),
        # what all aggregates share
        ("api_gateway/projections.py", '"first": origin.sequence', '"began": origin.sequence',
         set(PROJECTIONS) - {"rollout", "route", "timeline", "newest"}),
        # an event of its category
        ("slipway/contracts/rollout.py", "class RolloutRemoved(", "class RolloutRemoved(Event, ",
         {"rollout", "timeline"}),
        # what an event consists of
        ("slipway/contracts/values.py", "class Failure(Clipped):", "class Failure(Value):",
         {"deployment", "timeline", "newest", "rollout", "route"}),
        # two modules away: how a time is written
        ("slipway/kernel/clock.py", 'timespec="milliseconds"', 'timespec="seconds"',
         set(PROJECTIONS) - {"newest"}),
        # how every commit is decoded
        *[(file, old, new, set(PROJECTIONS)) for file, old, new in DECODING],
        ("slipway/kernel/decider.py", "current = self.evolve(current, event)", "pass",
         set(PROJECTIONS) - {"rollout", "route", "timeline", "newest"}),
    ],
)  # fmt: skip
def test_what_folds_is_seen(
    planted: Callable[[str, str, str], Sources], file: str, old: str, new: str,
    collections: set[str],
):  # fmt: skip
    assert changed(planted(file, old, new)) == collections


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("api_gateway/projects/routes.py", "status_code=202", "status_code=200"),
        ("api_gateway/commands.py", "_TRIES = 5", "_TRIES = 6"),
        # in the same file as a fold: what decides, and what is said about it
        ("api_gateway/deployments/domain.py", "has ended already", "is over"),
        ("api_gateway/projections.py", "The documents of one category", "One category's documents"),
        ("slipway/contracts/streams.py", '"KEYS"', '"CHAVES"'),
    ],
)
def test_what_does_not_fold_is_not(
    planted: Callable[[str, str, str], Sources], file: str, old: str, new: str
):
    assert changed(planted(file, old, new)) == set()


def test_a_fold_is_followed_wherever_it_stands(tmp_path: Path):
    (tmp_path / "read.py").write_text(
        "from slipway.audit import words\nfrom slipway.other import unused\n"
        "class Audit:\n    def fold(self):\n        return words.said()\n"
    )
    (tmp_path / "words.py").write_text("from slipway.deep import TEXT\ndef said(): return TEXT\n")
    (tmp_path / "deep.py").write_text("TEXT = 'a'\n")
    (tmp_path / "other.py").write_text("unused = 1\n")
    names = {
        "slipway.audit.read": "read", "slipway.audit.words": "words",
        "slipway.deep": "deep", "slipway.other": "other",
    }  # fmt: skip
    sources = Sources(lambda module: tmp_path / f"{names[module]}.py" if module in names else None)
    found = fold_version.reached(sources, [("slipway.audit.read", "Audit")])
    assert {module for module, _ in found} == {
        "slipway.audit.read", "slipway.audit.words", "slipway.deep",
    }  # fmt: skip


def test_what_runs_beside_the_definitions_is_seen(tmp_path: Path):
    """A table that is filled line by line, as upcasters are."""
    texts: list[dict[tuple[str, str], str]] = []
    for line in ("TABLE['a'] = 1", "TABLE['a'] = 2"):
        (tmp_path / "table.py").write_text(f"TABLE = {{}}\n{line}\n")
        sources = Sources(lambda _module: tmp_path / "table.py")
        texts.append(fold_version.reached(sources, [("slipway.table", "TABLE")]))
    assert texts[0] != texts[1]


def test_what_an_upcaster_does_is_seen(monkeypatch: pytest.MonkeyPatch):
    before = now()
    monkeypatch.setitem(UPCASTERS, ("project.created", 0), upcast)
    changed = {name for name, one in PROJECTIONS.items() if version(one) != before[name]}
    assert changed == {"project"}


def local() -> Any:
    def inner(data: dict[str, Any]) -> dict[str, Any]:
        return data

    return inner


@pytest.mark.parametrize("unnamed", [lambda data: data, local(), functools.partial(upcast)])
def test_an_upcaster_that_could_not_be_followed_is_refused(
    monkeypatch: pytest.MonkeyPatch, unnamed: Any
):
    monkeypatch.setitem(UPCASTERS, ("project.created", 0), unnamed)
    with pytest.raises(TypeError, match="has no name"):
        version(PROJECTIONS["newest"])


def test_what_is_queried_belongs_to_it():
    one = PROJECTIONS["newest"]
    made: type[Any] = type(one)
    named = {"__module__": made.__module__, "__qualname__": made.__qualname__}
    more = type(made.__name__, (made,), {**named, "indexes": ("org",)})()
    assert version(cast("Projection", more)) != version(one)


def test_it_is_the_same_each_time():
    assert FEATURES.version == FEATURES.version
    assert len({version(one) for one in FEATURES.projections}) == len(FEATURES.projections)
