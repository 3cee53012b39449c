"""Who may do what: the one table."""

from typing import Literal

from slipway.contracts.organization import Role
from slipway.kernel.errors import Forbidden

type Permission = Literal["read", "write", "administer", "own"]

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "viewer": frozenset({"read"}),
    "developer": frozenset({"read", "write"}),
    "admin": frozenset({"read", "write", "administer"}),
    "owner": frozenset({"read", "write", "administer", "own"}),
}
"""`write`: projects, applications, deployments, variables, domains. `administer`: tokens and
members. `own`: the organization itself."""


def require(role: Role | None, permission: Permission) -> None:
    if role is None or permission not in PERMISSIONS[role]:
        raise Forbidden(
            f"this needs the right to {permission}; the role here is {role or 'none'}",
            hint="ask an owner of the organization for another role",
        )


def at_most(role: Role, holder: Role) -> bool:
    """Nobody gives a right that they do not hold."""
    return PERMISSIONS[role] <= PERMISSIONS[holder]
