"""What the operator lets workloads and builds call beyond public addresses."""

from dataclasses import dataclass

from slipway.contracts.event import Event, Value
from slipway.contracts.organization import EgressSet
from slipway.kernel.decider import Decider


class EgressState(Value):
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetEgress:
    allow: tuple[str, ...]


def decide_egress(command: SetEgress, state: EgressState) -> tuple[Event, ...]:
    return () if command.allow == state.allow else (EgressSet(allow=command.allow),)


def evolve_egress(state: EgressState, event: Event) -> EgressState:
    return EgressState(allow=event.allow) if isinstance(event, EgressSet) else state


EGRESS = Decider("egress", EgressState(), decide_egress, evolve_egress)
