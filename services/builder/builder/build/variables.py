"""The variables of a deployment, opened. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slipway.contracts.values import Scope, ScopedVariables, Sealed
from slipway.contracts.variables import UnknownReference, merged, resolve

from builder.build import failures
from builder.build.failures import BuildError

_LARGEST = 131_000
"""Bytes of a name and its value. The kernel takes 128 KiB, with what stands around them."""


@dataclass(frozen=True, slots=True)
class Opened:
    values: Mapping[str, str]
    secret_names: frozenset[str]
    hidden: Sequence[str]
    """Every secret value, also those that only others refer to."""


def opened(
    scopes: Sequence[ScopedVariables], unseal: Callable[[Sealed, Scope, str], str]
) -> Opened:
    """Raises CannotOpen, and BuildError for what refers to nothing or is too large to be handed to
    a program."""
    try:
        values = resolve(scopes, unseal)
        hidden = [
            unseal(item.sealed, scoped.scope, item.name)
            for scoped in scopes
            for item in scoped.items
            if item.sealed is not None
        ]
    except UnknownReference as error:
        raise BuildError(failures.secrets_unreadable(str(error))) from error
    for name, value in values.items():
        if (size := len(name.encode()) + len(value.encode(errors="replace"))) > _LARGEST:
            raise BuildError(failures.variable_too_large(name, size, _LARGEST))
    near = merged(scopes)
    secret = frozenset(name for name in values if near[name][1].secret)
    return Opened(values, secret, hidden)
