"""Variables: nearer scopes win, references are resolved. Pure; used by the gateway to refuse what
can't be resolved, and by builder and deployer to resolve it."""

import re
from collections.abc import Callable, Iterable, Mapping

from slipway.contracts.values import Scope, ScopedVariables, Sealed, Variable

SCOPES: tuple[Scope, ...] = ("organization", "project", "environment", "service")
"""From far to near."""
REFERENCE = re.compile(r"\$\{\{\s*(?:([A-Za-z0-9_-]+)\.)?([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_DEPTH = 16
LONGEST = 131_000
"""Bytes of a value with its references replaced. Linux takes 128 KiB with what stands around it."""
LARGEST = 512 * 1024
"""Bytes of all names and values together, as a program is given them. The swarm keeps them in its
own log, with every release."""


class UnknownReference(ValueError):
    """`reference` as written, in the variable `name`."""

    def __init__(self, name: str, reference: str, why: str) -> None:
        super().__init__(f"{name}: {reference} {why}")
        self.name = name
        self.reference = reference


class TooLong(UnknownReference):
    """With its references replaced the value has more than LONGEST bytes."""


def references(value: str) -> list[tuple[str | None, str]]:
    """(scope or None, name) of every `${{…}}` in the value."""
    return [(match[1], match[2]) for match in REFERENCE.finditer(value)]


def merged(scopes: Iterable[ScopedVariables]) -> dict[str, tuple[Scope, Variable]]:
    """name → (where it comes from, variable); the nearest scope wins."""
    by_scope = {scoped.scope: scoped.items for scoped in scopes}
    result: dict[str, tuple[Scope, Variable]] = {}
    for scope in SCOPES:
        for variable in by_scope.get(scope, ()):
            result[variable.name] = (scope, variable)
    return result


def resolve(
    scopes: Iterable[ScopedVariables], unseal: Callable[[Sealed, Scope, str], str]
) -> dict[str, str]:
    """The values of `resolved`."""
    return resolved(scopes, unseal)[0]


def resolved(
    scopes: Iterable[ScopedVariables], unseal: Callable[[Sealed, Scope, str], str]
) -> tuple[dict[str, str], Mapping[tuple[Scope, str], str]]:
    """Names → values, sorted by name, every reference replaced; and the same of each variable that
    stands in one of them, by scope and name.

    `${{NAME}}` is the nearest NAME, `${{project.NAME}}` that of one scope. A variable that refers
    to its own name means the next farther one. Raises UnknownReference for one that is not there,
    goes in a circle, or makes a value longer than LONGEST.
    """
    table: dict[Scope, Mapping[str, Variable]] = {
        scoped.scope: {item.name: item for item in scoped.items} for scoped in scopes
    }

    def find(scope: str | None, name: str, below: Scope | None) -> tuple[Scope, Variable] | None:
        if scope is not None:
            for known in SCOPES:
                if known == scope and name in table.get(known, {}):
                    return known, table[known][name]
            return None
        candidates = SCOPES if below is None else SCOPES[: SCOPES.index(below)]
        for known in reversed(candidates):
            if name in table.get(known, {}):
                return known, table[known][name]
        return None

    known_values: dict[tuple[Scope, str], str] = {}

    def value_of(scope: Scope, variable: Variable, depth: int) -> str:
        if (scope, variable.name) not in known_values:
            known_values[scope, variable.name] = expanded(scope, variable, depth)
        return known_values[scope, variable.name]

    def expanded(scope: Scope, variable: Variable, depth: int) -> str:
        text = variable.value
        if text is None:
            if variable.sealed is None:
                return ""
            text = unseal(variable.sealed, scope, variable.name)
        length = len(text.encode(errors="replace"))

        def replace(match: re.Match[str]) -> str:
            nonlocal length
            if depth >= _DEPTH:
                raise UnknownReference(variable.name, match[0], "goes in a circle")
            own = match[1] is None and match[2] == variable.name
            found = find(match[1], match[2], scope if own else None)
            if found is None:
                raise UnknownReference(variable.name, match[0], "names no variable")
            value = value_of(*found, depth + 1)
            length += len(value.encode(errors="replace"))
            if length > LONGEST:
                raise TooLong(
                    variable.name, match[0], f"makes the value longer than {LONGEST} bytes"
                )
            return value

        return REFERENCE.sub(replace, text)

    values = {
        name: value_of(scope, variable, 0)
        for name, (scope, variable) in sorted(merged(
            ScopedVariables(scope=scope, items=tuple(items.values()))
            for scope, items in table.items()
        ).items())
    }  # fmt: skip
    return values, known_values
