"""The next state of a rollout, for each fact that is appended. Pure."""

from slipway.contracts.rollout import Pending, Release, RolloutState, Task

from deployer.rollout.plan import Drop, Start


def queued(state: RolloutState, pending: Pending, environment: str) -> RolloutState | None:
    """None when this deployment is known already."""
    known = {item.deployment for item in state.queue}
    for release in (state.serving, state.wanted):
        if release is not None:
            known.add(release.deployment)
    if pending.deployment in known or state.removed:
        return None
    return state.model_copy(update={"queue": (*state.queue, pending), "environment": environment})


def _without(state: RolloutState, pending: Pending) -> tuple[Pending, ...]:
    return tuple(item for item in state.queue if item.deployment != pending.deployment)


def dropped(state: RolloutState, step: Drop) -> RolloutState:
    return state.model_copy(update={"queue": _without(state, step.pending)})


def started(state: RolloutState, step: Start, release: Release, deadline: str) -> RolloutState:
    return state.model_copy(
        update={
            "queue": _without(state, step.pending),
            "wanted": release,
            "ready": False,
            "tasks": (),
            "deadline": deadline,
            "highest": step.pending.sequence,
        }
    )


def ready(state: RolloutState, tasks: tuple[Task, ...], deadline: str) -> RolloutState:
    return state.model_copy(update={"ready": True, "tasks": tasks, "deadline": deadline})


def succeeded(state: RolloutState, replicas: int) -> RolloutState:
    return state.model_copy(
        update={
            "serving": state.wanted,
            "wanted": None,
            "ready": False,
            "deadline": None,
            "stopped": False,
            "replicas": replicas,
        }
    )


def given_up(state: RolloutState) -> RolloutState:
    return state.model_copy(update={"wanted": None, "ready": False, "deadline": None, "tasks": ()})
