"""Each static check finds a planted breach, and what did not run is never said to have passed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.architecture import static_checks
from tests.architecture.static_checks import ROOT, Outcome, audited, judged, program


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which each breach is planted, so that each check runs once."""
    root = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "clients", "node_modules")
    for package in static_checks.PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    for file, source in PLANTED.items():
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_text(source)
    return root


@pytest.fixture(scope="module")
def types(tree: Path) -> Outcome:
    return static_checks.types(tree, *PLANTED)


@pytest.fixture(scope="module")
def dependencies(tree: Path) -> Outcome:
    file = tree / "services/metrics/pyproject.toml"
    declared = file.read_text()
    file.write_text(declared.replace('  "slipway-shared",', '  "slipway-shared",\n  "tenacity",'))
    return static_checks.dependencies(tree)


MATCH = """
from typing import assert_never

from slipway.contracts.values import GitSource, Source


def kind(source: Source) -> str:
    match source:
        case GitSource():
            return "git"
"""
LAX = "def first(given: list) -> object:\n    return given[0]\n"
PLACE = "services/builder/builder/planted"
PLANTED = {
    f"{PLACE}/never.py": f"{MATCH}        case _:\n            assert_never(source)\n",
    f"{PLACE}/arm.py": MATCH,
    f"{PLACE}/argument.py": "x: int = len(7)\n",
    f"{PLACE}/imported.py": "import cryptography\nimport httpx2\n",
    f"{PLACE}/form.py": "x = {  'a':1 }\n",
    f"{PLACE}/react.py": LAX,
    f"{PLACE}/domain.py": LAX,
    f"{PLACE}/plan.py": LAX,
    "shared/slipway/kernel/planted.py": LAX,
    "shared/slipway/contracts/planted.py": LAX,
}
FORGOTTEN = {
    "never.py": '"ImageSource" is not assignable to type "Never"',
    "arm.py": "reportMatchNotExhaustive",
    "argument.py": "reportArgumentType",
}


def about(found: str, file: str) -> str:
    """What is said of one file; its name stands above what was found in it."""
    parts = [part for part in found.split("\n/") if part.split("\n")[0].endswith(file)]
    return "\n".join(parts)


@pytest.mark.parametrize("file", FORGOTTEN)
def test_what_is_forgotten_fails_the_type_check(file: str, types: Outcome):
    assert types.state == "failed"
    assert FORGOTTEN[file] in about(f"\n{types.found}", f"{PLACE}/{file}")


@pytest.mark.parametrize("file", [file for file, source in PLANTED.items() if source is LAX])
def test_what_decides_plans_or_is_stored_is_checked_strictly(file: str, types: Outcome):
    strictly = not file.endswith("react.py")
    assert ("reportMissingTypeArgument" in about(f"\n{types.found}", file)) == strictly


@pytest.mark.parametrize(
    "sentence",
    [
        "'httpx2' imported but",
        "'cryptography' imported but",
        "'tenacity' defined as a dependency but not used",
    ],
)
def test_an_undeclared_or_unused_dependency_is_found(sentence: str, dependencies: Outcome):
    assert dependencies.state == "failed"
    assert sentence in dependencies.found


def test_bad_style_is_found(tree: Path):
    outcome = static_checks.style(tree)
    assert outcome.state == "failed"
    assert "imported.py" in outcome.found
    assert "form.py" in outcome.found


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


def test_what_does_not_end_fails_and_the_others_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def endless(root: Path) -> Outcome:
        return judged(program(root, "python", "-c", "import time; time.sleep(9)", seconds=0.1))

    checks = {"one": endless, "two": lambda _: Outcome("passed")}
    monkeypatch.setattr(static_checks, "CHECKS", checks)
    assert static_checks.main() == 1
    shown = capsys.readouterr().out
    assert "python did not end within 0.1 s" in shown
    assert "two passed in " in shown


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
