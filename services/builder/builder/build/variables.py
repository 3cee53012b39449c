"""The variables of a deployment and its secret files, opened. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slipway.contracts.values import (
    ApplicationSettings,
    FileMount,
    GitCommit,
    Mount,
    Scope,
    ScopedVariables,
    Sealed,
    Settings,
    file_place,
)
from slipway.contracts.variables import (
    LARGEST,
    LONGEST,
    TooLong,
    UnknownReference,
    merged,
    resolved,
)

from builder.build import failures
from builder.build.failures import BuildError


@dataclass(frozen=True, slots=True)
class Opened:
    values: Mapping[str, str]
    secret_names: frozenset[str]
    hidden: Sequence[str]
    """Every secret value as a program may have it, also those that only others refer to."""


def opened(
    scopes: Sequence[ScopedVariables], unseal: Callable[[Sealed, Scope, str], str]
) -> Opened:
    """Raises CannotOpen, and BuildError for what refers to nothing or is too large to be handed to
    a program."""
    try:
        values, used = resolved(scopes, unseal)
        hidden = [
            used.get((scoped.scope, item.name)) or unseal(item.sealed, scoped.scope, item.name)
            for scoped in scopes
            for item in scoped.items
            if item.sealed is not None
        ]
    except TooLong as error:
        raise BuildError(failures.variable_too_large(error.name, LONGEST)) from error
    except UnknownReference as error:
        raise BuildError(failures.secrets_unreadable(str(error))) from error
    sizes = {n: len(n.encode()) + len(v.encode(errors="replace")) for n, v in values.items()}
    for name, size in sizes.items():
        if size > LONGEST:
            raise BuildError(failures.variable_too_large(name, LONGEST))
    if (together := sum(sizes.values())) > LARGEST:
        raise BuildError(failures.variables_too_large(together, LARGEST))
    near = merged(scopes)
    secret = frozenset(name for name in values if near[name][1].secret)
    return Opened(values, secret, hidden)


def of_commit(commit: GitCommit | None) -> dict[str, str]:
    """What programs and Dockerfiles may know of what they are made of."""
    if commit is None:
        return {}
    known = {
        "SLIPWAY_GIT_COMMIT": commit.hash,
        "SLIPWAY_GIT_BRANCH": commit.branch,
        "SLIPWAY_GIT_MESSAGE": commit.message,
        "SLIPWAY_GIT_AUTHOR": commit.author,
    }
    return {name: value for name, value in known.items() if value}


def with_files(
    settings: Settings, unseal: Callable[[Sealed, Scope, str], str]
) -> tuple[Settings, Sequence[str]]:
    """Their secret files hold their content, which is given beside them. Raises CannotOpen."""
    hidden: list[str] = []

    def opened_(mount: Mount) -> Mount:
        if not isinstance(mount, FileMount) or mount.sealed is None:
            return mount
        content = unseal(mount.sealed, "service", file_place(mount.path))
        hidden.append(content)
        return mount.model_copy(update={"content": content, "sealed": None})

    if not isinstance(settings, ApplicationSettings):
        return settings, ()
    mounts = tuple(map(opened_, settings.runtime.mounts))
    runtime = settings.runtime.model_copy(update={"mounts": mounts})
    return settings.model_copy(update={"runtime": runtime}), hidden
