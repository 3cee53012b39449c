"""People, their sessions, tokens, and the installation's setup."""

from dataclasses import dataclass

from slipway.contracts.event import Event, Value
from slipway.contracts.organization import (
    EmailClaimed,
    Role,
    SessionClosed,
    SessionOpened,
    SetupCompleted,
    TokenCreated,
    TokenRevoked,
    UserRegistered,
)
from slipway.contracts.values import Sealed
from slipway.kernel.decider import Decider
from slipway.kernel.errors import Refused


class UserState(Value):
    email: Sealed | None = None
    email_id: str = ""
    password_hash: str = ""
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    email: Sealed
    email_id: str
    password_hash: str
    operator: bool


def decide_user(command: Register, state: UserState) -> tuple[Event, ...]:
    if state.email is not None:
        return ()
    return (
        UserRegistered(
            email=command.email,
            email_id=command.email_id,
            password_hash=command.password_hash,
            operator=command.operator,
        ),
    )


def evolve_user(state: UserState, event: Event) -> UserState:
    match event:
        case UserRegistered():
            return UserState(
                email=event.email,
                email_id=event.email_id,
                password_hash=event.password_hash,
                operator=event.operator,
            )
        case _:
            return state


class EmailState(Value):
    user: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimEmail:
    user: str


def decide_email(command: ClaimEmail, state: EmailState) -> tuple[Event, ...]:
    if state.user == command.user:
        return ()
    if state.user is not None:
        raise Refused("somebody has this address already", pointer="/email")
    return (EmailClaimed(user=command.user),)


def evolve_email(state: EmailState, event: Event) -> EmailState:
    return EmailState(user=event.user) if isinstance(event, EmailClaimed) else state


class SessionState(Value):
    user: str = ""
    token_hash: str = ""
    expires_at: str = ""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    user: str
    token_hash: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class Close:
    pass


def decide_session(command: Open | Close, state: SessionState) -> tuple[Event, ...]:
    match command:
        case Open(user, token_hash, expires_at):
            opened = SessionOpened(user=user, token_hash=token_hash, expires_at=expires_at)
            return () if state.user else (opened,)
        case Close():
            return () if state.closed or not state.user else (SessionClosed(),)


def evolve_session(state: SessionState, event: Event) -> SessionState:
    match event:
        case SessionOpened():
            return SessionState(
                user=event.user, token_hash=event.token_hash, expires_at=event.expires_at
            )
        case SessionClosed():
            return state.model_copy(update={"closed": True})
        case _:
            return state


class TokenState(Value):
    name: str = ""
    role: Role = "viewer"
    hash: str = ""
    created_by: str = ""
    expires_at: str | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class CreateToken:
    name: str
    role: Role
    hash: str
    created_by: str
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class Revoke:
    pass


def decide_token(command: CreateToken | Revoke, state: TokenState) -> tuple[Event, ...]:
    match command:
        case CreateToken():
            if state.hash:
                return ()
            return (
                TokenCreated(
                    name=command.name,
                    role=command.role,
                    hash=command.hash,
                    created_by=command.created_by,
                    expires_at=command.expires_at,
                ),
            )
        case Revoke():
            return () if state.revoked or not state.hash else (TokenRevoked(),)


def evolve_token(state: TokenState, event: Event) -> TokenState:
    match event:
        case TokenCreated():
            return TokenState.model_validate(event.model_dump())
        case TokenRevoked():
            return state.model_copy(update={"revoked": True})
        case _:
            return state


class InstallationState(Value):
    user: str | None = None
    organization: str | None = None


@dataclass(frozen=True, slots=True)
class CompleteSetup:
    user: str
    organization: str


class SetupClosed(Refused):
    slug = "setup-closed"


def decide_installation(command: CompleteSetup, state: InstallationState) -> tuple[Event, ...]:
    if state.user is not None:
        raise SetupClosed("this installation has its first owner already")
    return (SetupCompleted(user=command.user, organization=command.organization),)


def evolve_installation(state: InstallationState, event: Event) -> InstallationState:
    if isinstance(event, SetupCompleted):
        return InstallationState(user=event.user, organization=event.organization)
    return state


USER = Decider("user", UserState(), decide_user, evolve_user)
EMAIL = Decider("email", EmailState(), decide_email, evolve_email)
SESSION = Decider(
    "session", SessionState(), decide_session, evolve_session, lambda state: state.closed
)
TOKEN = Decider("token", TokenState(), decide_token, evolve_token, lambda state: state.revoked)
INSTALLATION = Decider(
    "installation", InstallationState(), decide_installation, evolve_installation
)
