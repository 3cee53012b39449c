"""The examples of docs/contributing.md are made in a copy of the sources, and their tests run."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture import static_checks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/contributing.md").read_text()
BAD_INPUT = "tests/contract/test_bad_input.py"
DRIVEN = (
    "every_operation or every_kind or hold_every_field or says_how_large"
    " or (are_valid and (service or note))"
)
"""Of its tests those that tell what an example left out; the others send thousands of bodies."""
COPIED = ("shared", "services", "infra/install", "tests", "docs", "pyproject.toml", ".importlinter")
_BLOCK = re.compile(r"^```(python|diff) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A new file, or changes of one."""

    section: str
    kind: str
    path: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    for section in page.split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for kind, path, text in _BLOCK.findall(section):
            yield Block(title, kind, path, text)


def changed(before: str, diff: str, name: str = "") -> str:
    """`diff` without line numbers: each part between `@@` has to fit in exactly one place."""
    for part in diff.split("@@\n"):
        lines = [line or " " for line in part.removesuffix("\n").split("\n")]
        old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        new = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        assert before.count(old) == 1, f"{name} has this {before.count(old)} times:\n{old}"
        before = before.replace(old, new)
    return before


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


def test_few_files_are_touched():
    touched: defaultdict[str, set[str]] = defaultdict(set)
    for block in blocks(PAGE):
        if not block.path.startswith("tests/"):
            touched[block.section].add(block.path)
    counts = {section: len(paths) for section, paths in touched.items()}
    assert counts == {
        "An event": 2, "An operation": 3, "A projection": 3, "A builder": 3, "A kind": 4,
    }  # fmt: skip


def test_what_runs_without_an_engine_is_told_apart():
    """`-m "not engine"`, and the files of contract tests that the page names."""
    files = sorted((ROOT / "tests/contract").glob("test_*.py"))
    marked = {file.name for file in files if "pytest.mark.engine" in file.read_text()}
    said = PAGE.partition("Of the contract tests these are")[2].partition(";")[0]
    assert set(re.findall(r"`(\w+\.py)`", said)) == marked != set()


def unlike(source: str) -> list[str]:
    """What makes the ids of tests others in each process: `-n 2` refuses them."""
    decorators = [
        ast.unparse(decorator)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for decorator in node.decorator_list
    ]
    return [
        text
        for text in decorators
        if re.search(r"parametrize\(.*\b(uuid4|token_hex)\(", text, re.DOTALL)
    ]


def test_the_ids_of_tests_are_the_same_in_each_process():
    for file in (ROOT / "tests").rglob("test_*.py"):
        assert unlike(file.read_text()) == [], file
    planted = "@pytest.mark.parametrize('id_', [str(uuid4())])\ndef test_x(id_): ..."
    assert len(unlike(planted)) == 1


def test_a_change_that_fits_nowhere_or_twice_is_found():
    assert changed("a\nb\n", " a\n+c\n b\n") == "a\nc\nb\n"
    for before in ("b\n", "a\na\n"):
        with pytest.raises(AssertionError):
            changed(before, "-a\n+c\n")
