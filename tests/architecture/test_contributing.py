"""What docs/contributing.md says of examples and tests; that its examples work is
tests/contract/test_examples.py."""

import ast
import re
from collections import defaultdict

import pytest

from tests.architecture.examples import PAGE, ROOT, blocks, changed


def test_few_files_are_touched():
    touched: defaultdict[str, set[str]] = defaultdict(set)
    for block in blocks(PAGE):
        if not block.path.startswith("tests/"):
            touched[block.section].add(block.path)
    counts = {section: len(paths) for section, paths in touched.items()}
    assert counts == {
        "An event": 2, "An operation": 3, "A projection": 3, "A builder": 3, "A kind": 7,
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
