"""Who may do what: the one table."""

from typing import Literal

from slipway.contracts.organization import Role
from slipway.kernel.errors import Forbidden

type Permission = Literal["read", "write", "administer", "own"]
type Need = Permission | Literal["nothing", "sign-in", "person", "operator"]

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "viewer": frozenset({"read"}),
    "developer": frozenset({"read", "write"}),
    "admin": frozenset({"read", "write", "administer"}),
    "owner": frozenset({"read", "write", "administer", "own"}),
}

OPERATIONS: dict[str, Need] = {
    "health": "nothing",
    "readiness": "nothing",
    "metrics": "nothing",
    "setup": "nothing",
    "sign_in": "nothing",
    "receive_push": "nothing",
    "list_organizations": "sign-in",
    "sign_out": "person",
    "create_organization": "person",
    "get_projections": "operator",
    "rebuild_projections": "operator",
    "list_tokens": "administer",
    "create_token": "administer",
    "revoke_token": "administer",
    "get_organization": "read",
    "list_projects": "read",
    "get_project": "read",
    "get_environment": "read",
    "list_services": "read",
    "list_environment_services": "read",
    "get_service": "read",
    "get_service_logs": "read",
    "list_domains": "read",
    "list_deployments": "read",
    "get_deployment": "read",
    "get_deployment_logs": "read",
    "get_organization_variables": "read",
    "get_project_variables": "read",
    "get_environment_variables": "read",
    "get_service_variables": "read",
    "stream_events": "read",
    "create_project": "write",
    "change_project": "write",
    "delete_project": "write",
    "create_environment": "write",
    "change_environment": "write",
    "delete_environment": "write",
    "create_service": "write",
    "change_service": "write",
    "delete_service": "write",
    "stop_service": "write",
    "start_service": "write",
    "restart_service": "write",
    "add_domain": "write",
    "remove_domain": "write",
    "deploy": "write",
    "cancel_deployment": "write",
    "roll_back": "write",
    "set_organization_variables": "write",
    "set_project_variables": "write",
    "set_environment_variables": "write",
    "set_service_variables": "write",
}
"""What each operation of the API needs. `nothing`: its own secret at most (setup's token, the
address of a webhook). `sign-in`, `person` and `operator` are outside of any organization."""


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
