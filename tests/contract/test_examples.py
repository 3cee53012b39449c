"""The examples of docs/contributing.md are made in a copy of the sources, and their tests run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import static_checks
from tests.architecture.examples import PAGE, ROOT, blocks, changed

BAD_INPUT = "tests/contract/test_bad_input.py"
DRIVEN = (
    "every_operation or every_kind or hold_every_field or says_how_large"
    " or (are_valid and (service or note))"
)
"""Of its tests those that tell what an example left out; the others send thousands of bodies."""
COPIED = ("shared", "services", "infra/install", "tests", "docs", "pyproject.toml", ".importlinter")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", ".venv")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    for block in blocks(PAGE):
        file = folder / block.path
        if block.kind == "python":
            assert not file.exists(), block.path
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text)
        else:
            file.write_text(changed(file.read_text(), block.text, block.path))
    for package in {(folder / b.path).parent for b in blocks(PAGE) if b.path.endswith(".py")}:
        (package / "__init__.py").touch()
    return folder


def run(folder: Path, *argv: str) -> str:
    paths = [folder, folder / "shared", folder / "infra/install", *folder.glob("services/*")]
    done = subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_examples_do_what_their_tests_say(copy: Path):
    said = {block.path for block in blocks(PAGE) if block.path.startswith("tests/")}
    assert len(said) >= 6
    run(copy, "tests.architecture.event_samples")
    also = ["unit/api_gateway/test_features.py", "architecture/test_events.py"]
    also += ["architecture/test_rooms.py", "architecture/test_imports.py::test_the_contracts_hold"]
    also = [f"tests/{name}" for name in also]
    whole = sorted(said - {BAD_INPUT})
    run(copy, "pytest", *whole, *also, "-q", "-p", "no:randomly")


def test_the_examples_leave_no_field_out(copy: Path):
    run(copy, "pytest", BAD_INPUT, "-k", DRIVEN, "-q", "-p", "no:randomly")


def test_the_examples_are_written_as_all_code_is(copy: Path):
    files = sorted({block.path for block in blocks(PAGE)})
    run(copy, "ruff", "check", "--quiet", *files)
    run(copy, "ruff", "format", "--quiet", "--check", *files)
    assert static_checks.types(copy, *files) == static_checks.Outcome("passed")
