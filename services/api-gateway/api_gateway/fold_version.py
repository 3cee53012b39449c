"""A projection's version: a hash of the code that it really folds with.

From the projection's class, from what it names in `folds_with`, and from how commits are decoded,
the definitions are followed by name, within a module and through its imports, as far as they lead
to code of our own. So a fold is seen wherever it stands, and what else stands in the same file is
not.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from slipway.contracts import event as contracts
from slipway.eventstore import codec
from slipway.readmodel.model import Projection, next_document

_OURS = ("api_gateway", "slipway")
_DECODING = (codec.from_bytes, contracts.newest, contracts.made, next_document)
"""How what is stored becomes what any projection folds."""
type _Definition = tuple[str, str]
"""(module, name at its top level); an empty name stands for the statements that are no definition,
which run whenever the module is imported."""
type Find = Callable[[str], Path | None]


class Sources:
    """Modules of our own as syntax trees: top-level name → the statements which bind it."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._modules: dict[str, dict[str, list[ast.stmt]] | None] = {}

    def module(self, name: str) -> dict[str, list[ast.stmt]] | None:
        """None for what is not ours."""
        if name not in self._modules:
            path = self._find(name) if name.partition(".")[0] in _OURS else None
            self._modules[name] = _by_name(ast.parse(path.read_text())) if path else None
        return self._modules[name]


def _by_name(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    for node in ast.walk(tree):  # what is said in docstrings folds nothing
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)]
    found: dict[str, list[ast.stmt]] = {"": []}
    for statement in tree.body:
        for name in _bound(statement):
            found.setdefault(name, []).append(statement)
    return found


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _bound(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.TypeAlias() | ast.AnnAssign() | ast.Assign():
            targets = (
                statement.targets if isinstance(statement, ast.Assign) else [_target(statement)]
            )
            names = [node.id for target in targets for node in _stored(target)]
            yield from names or [""]
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0]
        case _:
            yield ""


def _target(statement: ast.TypeAlias | ast.AnnAssign) -> ast.expr:
    return statement.name if isinstance(statement, ast.TypeAlias) else statement.target


def _stored(target: ast.expr) -> Iterator[ast.Name]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def reached(sources: Sources, roots: Iterable[_Definition]) -> dict[_Definition, str]:
    """Every definition of our own which the roots lead to, as its syntax tree in text."""
    found: dict[_Definition, str] = {}
    todo = list(roots)
    while todo:
        at = todo.pop()
        module = sources.module(at[0])
        if at in found or module is None:
            continue
        statements = module.get(at[1], [])
        found[at] = "\n".join(map(ast.dump, statements))
        todo.append((at[0], ""))
        for statement in statements:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                todo += _imported(sources, statement, at[1])
            else:
                todo += [(at[0], name) for name in _used(statement) if name in module]
    return found


def _imported(
    sources: Sources, statement: ast.Import | ast.ImportFrom, name: str
) -> Iterator[_Definition]:
    for alias in statement.names:
        if (alias.asname or alias.name.partition(".")[0]) != name:
            continue
        if isinstance(statement, ast.Import):
            yield from _whole(sources, alias.name)
        elif sources.module(inner := f"{statement.module}.{alias.name}") is not None:
            yield from _whole(sources, inner)
        else:
            yield str(statement.module), alias.name


def _whole(sources: Sources, module: str) -> Iterator[_Definition]:
    """A module that is used by its name: all that stands in it."""
    yield from ((module, name) for name in sources.module(module) or ())


@cache
def _path(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def _roots(projection: Projection) -> Iterator[_Definition]:
    named: tuple[Any, ...] = (
        type(projection), *_DECODING, *getattr(projection, "folds_with", ())
    )  # fmt: skip
    for item in named:
        yield item.__module__, item.__qualname__.partition(".")[0]
    for wire, event in contracts.REGISTRY.items():
        if wire.partition(".")[0] in projection.categories:
            yield event.__module__, event.__name__
    for (wire, version), upcast in contracts.UPCASTERS.items():
        name = getattr(upcast, "__qualname__", "")
        if not name.isidentifier():
            raise TypeError(f"the upcaster of {wire!r} {version} has no name at its module's top")
        if wire.partition(".")[0] in projection.categories:
            yield upcast.__module__, name


def version(projection: Projection, sources: Sources | None = None) -> str:
    code = reached(sources or Sources(_path), _roots(projection))
    told = projection.collection, sorted(projection.categories), sorted(projection.indexes)
    hashed = hashlib.sha256(repr(told).encode())
    for definition in sorted(code):
        hashed.update(f"\x00{definition}\x00{code[definition]}".encode())
    return hashed.hexdigest()[:16]


def combined(projections: Iterable[Projection]) -> str:
    sources = Sources(_path)
    hashed = hashlib.sha256()
    for text in sorted(version(projection, sources) for projection in projections):
        hashed.update(text.encode())
    return hashed.hexdigest()[:16]
