"""Rights: what a role may, and what an operation can need."""

from typing import Literal

from slipway.contracts.organization import Role
from slipway.kernel.errors import Forbidden

type Permission = Literal["read", "write", "administer", "own"]
type Need = Permission | Literal["nothing", "sign-in", "person", "operator"]
"""What an operation of the API needs. `nothing`: its own secret at most (setup's token, the address
of a webhook). `sign-in`, `person` and `operator` are outside of any organization."""

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "viewer": frozenset({"read"}),
    "developer": frozenset({"read", "write"}),
    "admin": frozenset({"read", "write", "administer"}),
    "owner": frozenset({"read", "write", "administer", "own"}),
}


def may(role: Role | None, permission: Permission) -> bool:
    return role is not None and permission in PERMISSIONS[role]


def require(role: Role | None, permission: Permission) -> None:
    if not may(role, permission):
        raise Forbidden(
            f"this needs the right to {permission}; the role here is {role or 'none'}",
            hint="ask an owner of the organization for another role",
        )


def at_most(role: Role, holder: Role | None) -> bool:
    """Nobody gives a right that they do not hold."""
    return holder is not None and PERMISSIONS[role] <= PERMISSIONS[holder]
