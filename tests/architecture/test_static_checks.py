"""Each static check finds a planted breach, and what did not run is never said to have passed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.architecture import static_checks
from tests.architecture.static_checks import ROOT, Outcome, audited

PLANTED = "services/builder/builder/planted"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy in which a breach can be planted."""
    ignored = shutil.ignore_patterns("__pycache__", "clients", "node_modules")
    for package in static_checks.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(tree: Path, name: str, source: str) -> str:
    file = tree / PLANTED / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    return str(file.relative_to(tree))


MATCH = """
from typing import assert_never

from slipway.contracts.values import GitSource, Source


def kind(source: Source) -> str:
    match source:
        case GitSource():
            return "git"
"""
FORGOTTEN = {
    "an arm before assert_never": (
        f"{MATCH}        case _:\n            assert_never(source)\n",
        '"ImageSource" is not assignable to type "Never"',
    ),
    "an arm": (MATCH, "reportMatchNotExhaustive"),
    "an argument's type": ("x: int = len(7)\n", "reportArgumentType"),
}


@pytest.mark.parametrize("what", FORGOTTEN)
def test_what_is_forgotten_fails_the_type_check(what: str, tree: Path):
    source, sentence = FORGOTTEN[what]
    outcome = static_checks.types(tree, plant(tree, "react.py", source))
    assert outcome.state == "failed"
    assert sentence in outcome.found


@pytest.mark.parametrize("room", ["domain.py", "plan.py"])
def test_what_decides_and_plans_is_checked_strictly(room: str, tree: Path):
    source = "def first(given: list) -> object:\n    return given[0]\n"
    elsewhere = static_checks.types(tree, plant(tree, "react.py", source))
    assert elsewhere == Outcome("passed")
    outcome = static_checks.types(tree, plant(tree, room, source))
    assert "reportMissingTypeArgument" in outcome.found


def test_kernel_and_contracts_are_checked_strictly(tree: Path):
    for folder in ("kernel", "contracts"):
        file = tree / "shared/slipway" / folder / "planted.py"
        file.write_text("def first(given: list) -> object:\n    return given[0]\n")
        outcome = static_checks.types(tree, str(file.relative_to(tree)))
        assert "reportMissingTypeArgument" in outcome.found


def test_an_undeclared_dependency_is_found(tree: Path):
    plant(tree, "react.py", "import httpx2\n\nhttpx2.get\n")
    outcome = static_checks.dependencies(tree)
    assert outcome.state == "failed"
    assert "'httpx2' imported but" in outcome.found


def test_a_dependency_of_another_package_is_found(tree: Path):
    plant(tree, "react.py", "import cryptography\n\ncryptography.x\n")
    assert "'cryptography' imported but" in static_checks.dependencies(tree).found


def test_an_unused_dependency_is_found(tree: Path):
    file = tree / "services/metrics/pyproject.toml"
    text = file.read_text()
    file.write_text(text.replace('  "slipway-shared",', '  "slipway-shared",\n  "tenacity",'))
    outcome = static_checks.dependencies(tree)
    assert outcome.state == "failed"
    assert "'tenacity' defined as a dependency but not used" in outcome.found


def test_bad_style_is_found(tree: Path):
    plant(tree, "react.py", "import os\n")
    assert "F401" in static_checks.style(tree).found
    plant(tree, "react.py", "x = {  'a':1 }\n")
    assert static_checks.style(tree).state == "failed"


def answer(*dependencies: dict[str, Any]) -> tuple[int, str, str]:
    return 0, json.dumps({"dependencies": list(dependencies), "fixes": []}), ""


SAFE = {"name": "orjson", "version": "3.13.0", "vulns": []}
FAULTY = {
    "name": "motor",
    "version": "3.7.1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.7.2"], "aliases": [], "description": ""}],
}
UNKNOWN = {"name": "pydantic", "skip_reason": "Dependency not found on PyPI"}


def test_a_vulnerability_fails():
    outcome = audited(*answer(SAFE, FAULTY, UNKNOWN))
    assert outcome == Outcome("failed", "motor 3.7.1: PYSEC-1, mended in 3.7.2")


def test_what_could_not_be_looked_up_has_not_passed():
    assert audited(*answer(SAFE)) == Outcome("passed")
    outcome = audited(*answer(SAFE, UNKNOWN))
    assert outcome.state == "did not run"
    assert outcome.found == "pypi.org told nothing about 1 of 2 packages (pydantic)"
    assert audited(*answer()).state == "did not run"
    assert audited(1, "", "the lock is broken").state == "failed"


def test_without_network_nothing_is_audited(monkeypatch: pytest.MonkeyPatch):
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    outcome = static_checks.vulnerabilities(ROOT)
    assert outcome == Outcome("did not run", "pypi.org can't be reached")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome("passed"), 0),
        (Outcome("failed", "a breach"), 1),
        (Outcome("did not run", "no network"), 0),
    ],
)
def test_a_failed_check_fails_the_run(
    outcome: Outcome,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    checks = {"one": lambda _: outcome, "two": lambda _: Outcome("passed")}
    monkeypatch.setattr(static_checks, "CHECKS", checks)
    assert static_checks.main() == status
    shown = capsys.readouterr().out
    assert f"one {outcome.state} in " in shown
    assert outcome.found in shown
