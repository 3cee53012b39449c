"""Rules over the syntax trees of everything that runs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_rooms import says_pure

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for top in ("shared", "services", "infra")
    for path in (ROOT / top).rglob("*.py")
    if ".venv" not in path.parts and "node_modules" not in path.parts
)
PURE = {"domain.py", "plan.py", "render.py"}
SHELLS = {"create_subprocess_shell", "system", "popen", "getoutput", "getstatusoutput"}


def shell_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        owner = (
            node.func.value.id
            if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
            else ""
        )
        if name in SHELLS and owner in {"os", "asyncio", "subprocess"}:
            yield f"line {node.lineno}: {owner}.{name}"
        for keyword in node.keywords:
            constant = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if keyword.arg == "shell" and constant is not False:
                yield f"line {node.lineno}: shell="
        for argument in node.args:
            if isinstance(argument, ast.List) and [
                element.value for element in argument.elts if isinstance(element, ast.Constant)
            ][:2] in (["sh", "-c"], ["bash", "-c"], ["/bin/sh", "-c"]):
                yield f"line {node.lineno}: sh -c"


def impure_calls(tree: ast.AST) -> Iterator[str]:
    """A clock, chance or an id made inside: what a decider must be given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            if called.startswith(("random.", "secrets.", "uuid", "time.")) or called.endswith(
                (".now", ".utcnow", ".today", "uuid4", "uuid7")
            ):
                yield f"line {node.lineno}: {called}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_programs_are_run_by_argv(module: Path):
    assert list(shell_calls(ast.parse(module.read_text()))) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import os; os.system('ls')",
        "import subprocess; subprocess.run('ls', shell=True)",
        "import asyncio; asyncio.create_subprocess_shell('ls')",
        "import subprocess; subprocess.run(['sh', '-c', 'ls'])",
    ],
)
def test_a_planted_shell_is_found(planted: str):
    assert list(shell_calls(ast.parse(planted)))


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES if says_pure(path.read_text()) or path.name in PURE]
    + sorted((ROOT / "shared/slipway/contracts").glob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_pure_modules_take_time_and_ids_as_values(module: Path):
    assert list(impure_calls(ast.parse(module.read_text()))) == []


def test_a_planted_clock_is_found():
    assert list(impure_calls(ast.parse("from datetime import datetime\ndatetime.now()")))


def test_no_module_hides_behind_a_vague_name():
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [path for path in MODULES if vague & {path.stem, path.parent.name}] == []


def test_modules_stay_readable():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
