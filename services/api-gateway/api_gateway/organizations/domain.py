"""Organizations and who belongs to them."""

from dataclasses import dataclass

from slipway.contracts.event import Event, Value
from slipway.contracts.limits import BuildLimitsSet, OwnLimits
from slipway.contracts.organization import (
    MemberAdded,
    OrganizationCreated,
    OrganizationVariablesSet,
    Role,
)
from slipway.contracts.values import Variable
from slipway.kernel.decider import Decider
from slipway.kernel.errors import NotFound


class OrganizationState(Value):
    name: str = ""
    key: str = ""
    variables: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class Create:
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class SetVariables:
    items: tuple[Variable, ...]


def decide(command: Create | SetVariables, state: OrganizationState) -> tuple[Event, ...]:
    match command:
        case Create(name, key):
            return () if state.key else (OrganizationCreated(name=name, key=key),)
        case SetVariables(items):
            if not state.key:
                raise NotFound("there is no such organization")
            return () if items == state.variables else (OrganizationVariablesSet(items=items),)


def evolve(state: OrganizationState, event: Event) -> OrganizationState:
    match event:
        case OrganizationCreated():
            return OrganizationState(name=event.name, key=event.key)
        case OrganizationVariablesSet():
            return state.model_copy(update={"variables": event.items})
        case _:
            return state


@dataclass(frozen=True, slots=True)
class SetLimits:
    limits: OwnLimits


def decide_limits(command: SetLimits, state: OwnLimits) -> tuple[Event, ...]:
    return () if command.limits == state else (BuildLimitsSet(limits=command.limits),)


def evolve_limits(state: OwnLimits, event: Event) -> OwnLimits:
    return event.limits if isinstance(event, BuildLimitsSet) else state


class MemberState(Value):
    user: str = ""
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Add:
    user: str
    role: Role


def decide_member(command: Add, state: MemberState) -> tuple[Event, ...]:
    added = MemberAdded(user=command.user, role=command.role)
    return () if state.role == command.role else (added,)


def evolve_member(state: MemberState, event: Event) -> MemberState:
    if isinstance(event, MemberAdded):
        return MemberState(user=event.user, role=event.role)
    return state


ORGANIZATION = Decider("organization", OrganizationState(), decide, evolve)
MEMBER = Decider("member", MemberState(), decide_member, evolve_member)
LIMITS = Decider("limits", OwnLimits(), decide_limits, evolve_limits)
