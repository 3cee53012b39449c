"""What is to be done next for one service: one step, after which everything is looked at again."""

from dataclasses import dataclass
from typing import assert_never

from slipway.contracts.rollout import Former, Pending, Release, Released, Reverting, Task, Waiting

from deployer.rollout.domain import SwarmServiceView


@dataclass(frozen=True, slots=True)
class Start:
    pending: Pending


@dataclass(frozen=True, slots=True)
class Drop:
    """A waiting deployment that will not start: it was asked to stop, or a later one started, or
    too many later ones wait."""

    pending: Pending
    superseded: bool


@dataclass(frozen=True, slots=True)
class Create:
    """With 0 replicas where it holds something, whether that is free or not: it is scaled under a
    version then, so a process that was paused before this begins nothing beside another."""

    release: Release
    workload: Released
    replicas: int
    repair: bool = False


@dataclass(frozen=True, slots=True)
class StartJob:
    """Said, and then made."""

    release: Release
    workload: Released


@dataclass(frozen=True, slots=True)
class NoteJobEnded:
    workload: Released
    exit: int


@dataclass(frozen=True, slots=True)
class NoteWaiting:
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class Ready:
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Succeed:
    pass


@dataclass(frozen=True, slots=True)
class Revert:
    """The wanted release is given up: said before anything is undone."""

    reverting: Reverting


@dataclass(frozen=True, slots=True)
class End:
    """It is undone."""

    reverting: Reverting
    former: Former


@dataclass(frozen=True, slots=True)
class Remove:
    there: SwarmServiceView


@dataclass(frozen=True, slots=True)
class Scale:
    there: SwarmServiceView
    replicas: int


@dataclass(frozen=True, slots=True)
class Stop:
    """What Swarm is ending anyway is told to end now: Swarm itself tells it a second later."""

    container: str


@dataclass(frozen=True, slots=True)
class NoteScaled:
    replicas: dict[str, int]


@dataclass(frozen=True, slots=True)
class NoteStopped:
    pass


@dataclass(frozen=True, slots=True)
class NoteRemoving:
    """The containers of a deleted service have until then (ISO 8601) to end."""

    until: str


@dataclass(frozen=True, slots=True)
class EndContainers:
    """By force: they have had their time."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing of a deleted service is left."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again when something happens, at the latest in `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is to be done, or looked at, until something new is asked for."""


type RolloutStep = (
    Start | Drop | Create | StartJob | NoteJobEnded | NoteWaiting | Ready | Succeed | Revert | End
    | Remove | Scale | Stop | NoteScaled | NoteStopped | NoteRemoving | EndContainers | Finish
    | Wait | Rest
)  # fmt: skip

SOON = 0.5
"""For the deadlines: what happens to tasks and in the log is told at once."""


def about(step: RolloutStep, wanted: Release | None, paused: frozenset[str]) -> bool:
    """Whether what is being rolled out, or waits for it, can't go on without the step.
    `paused`: what stands still for its sake."""
    match step:
        case Create(_, workload):
            return wanted is not None and workload.swarm_service in wanted.names
        case Scale(there):
            return wanted is not None and there.name in wanted.names | paused
        case (
            Remove() | Stop() | NoteWaiting() | NoteScaled() | NoteStopped() | NoteRemoving()
            | EndContainers() | Finish()
        ):  # fmt: skip
            return False
        case (
            Start() | Drop() | StartJob() | NoteJobEnded() | Ready() | Succeed() | Revert()
            | End() | Wait() | Rest()
        ):  # fmt: skip
            return True
        case _:
            assert_never(step)
