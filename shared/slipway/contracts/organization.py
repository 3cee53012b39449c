"""Categories above and at the top of organizations: user, email, session, installation, egress,
organization, member, token. Written by the gateway."""

from typing import Annotated, Literal

from slipway.contracts.event import Event
from slipway.contracts.said import Said
from slipway.contracts.values import Sealed, Variable

type Role = Literal["owner", "admin", "developer", "viewer"]


class UserRegistered(Event):
    type = "user.registered"
    public = frozenset({"operator"})
    email: Sealed
    """Sealed to the gateway's key: a person's address is not for the log."""
    email_id: str
    """`ids.value_id("email", lower-case address)`."""
    password_hash: str
    operator: bool = False


class EmailClaimed(Event):
    type = "email.claimed"
    user: str


class SessionOpened(Event):
    type = "session.opened"
    public = frozenset({"user", "expires_at"})
    user: str
    token_hash: str
    expires_at: str


class SessionClosed(Event):
    type = "session.closed"


class SetupCompleted(Event):
    type = "installation.setup_completed"
    public = frozenset({"user", "organization"})
    user: str
    organization: str


class EgressSet(Event):
    """`evt._.egress.main`: all that the operator allows beyond public addresses, each as
    `slipway.egress.policy.Allowed` writes it."""

    type = "egress.set"
    public = frozenset({"allow"})
    allow: Annotated[tuple[Annotated[str, Said(60)], ...], Said(200)]


class OrganizationCreated(Event):
    type = "organization.created"
    public = frozenset({"name"})
    name: str
    key: str
    """The organization's public key (base64); the private half is wrapped in KV `keys`."""


class OrganizationVariablesSet(Event):
    type = "organization.variables_set"
    items: tuple[Variable, ...]


class MemberAdded(Event):
    type = "member.added"
    public = frozenset({"user", "role"})
    user: str
    role: Role


class TokenCreated(Event):
    type = "token.created"
    public = frozenset({"name", "role", "expires_at"})
    name: str
    role: Role
    hash: str
    created_by: str
    expires_at: str | None = None


class TokenRevoked(Event):
    type = "token.revoked"
