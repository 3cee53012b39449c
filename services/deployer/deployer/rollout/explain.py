"""Why a release did not come to serve. Pure."""

import re
import shlex
from collections.abc import Sequence

from slipway.contracts.rollout import Release, Released
from slipway.contracts.values import Failure
from slipway.contracts.workload import place

from deployer.rollout.domain import Health, SwarmServiceView, TaskView
from deployer.rollout.render import LIFELINE

_PORT = "a port of `ports` is taken on the host by something else: publish another, or end that"
_STEPS = {
    "port is already allocated": _PORT,
    "address already in use": _PORT,
    "host-mode port already in use": _PORT,
    "insufficient resources": "no node has left what it reserves: set a lower cpu_reservation or"
    " memory_reservation, or end something else",
    "scheduling constraints not satisfied": "the node that has its image or its volumes has to be"
    " there and take tasks; `docker node ls` says whether it is and does",
    "unable to find user": "set user to one that the image has, or to a number",
    "unable to find group": "set user to one with a group that the image has, or to numbers",
}
"""What Swarm or the engine says of a task that it can't place or start → what to do."""

_LOST = re.compile("network [0-9a-z]+ exists")
LAST = 20
"""Lines that are told of a program which failed."""
_KILLED = 137
"""The exit code of what was ended by force."""


def _step(error: str, otherwise: str) -> str:
    if _LOST.fullmatch(error.lower()):
        return "the engine has lost the way out of workloads, which is made anew: deploy again soon"
    return next((step for words, step in _STEPS.items() if words in error), otherwise)


def no_node(release: Release, workload: Released, error: str) -> str:
    """What a task waits for, in the engine's words, and what to do."""
    step, said = _step(error, ""), named(release, workload, error)
    return f"a node: {said}; {step}" if step else f"a node: {said}"


def ends(release: Release, before: SwarmServiceView) -> str:
    """What is waited for where that has to end first."""
    alone = len(release.workloads) == 1
    what = "the former release" if alone else f"{before.workload} as it was"
    return (
        f"the end of {what}, which takes long; a program has its stop_grace_seconds for that, and"
        " is ended by force then"
    )


def lingers(holds: Sequence[str]) -> str:
    """As `ends`, of what is known by no name any more."""
    return f"the end of {_had(holds)}"


def _had(holds: Sequence[str]) -> str:
    """A workload's own place is a word that nobody knows."""
    if "jobs" in holds:
        return "a job of an earlier deployment, which was given up"
    had = [held.replace(":", " ", 1) for held in holds if not held.startswith(place(""))]
    return f"what had the {' and the '.join(had)}" if had else "a former task"


def final(refused: TaskView) -> bool:
    """Trying again will not help."""
    return "no such image" in refused.error.lower()


def passes(refused: TaskView) -> bool:
    """Of the node, for seconds, and Swarm tries again: it has not let go of a removed network yet
    whose subnet a new one has got; or it has lost the way out, and gets another one."""
    error = refused.error.lower()
    return "pool overlaps with other one" in error or _LOST.fullmatch(error) is not None


def by_health(ended: TaskView) -> bool:
    """Swarm ended it for what its health check said."""
    return "unhealthy container" in ended.error


def _not_started(ended: TaskView) -> bool:
    """There was a container, and nothing ran in it."""
    return "starting container" in ended.error


def task(ended: TaskView, *, ready: bool) -> Failure:
    """Of the first task that ended though it was to run."""
    when = "after it had been healthy" if ready else "at its start"
    error = ended.error
    if final(ended):
        return image_missing(error)
    if by_health(ended):  # it is gone, and its answers with it
        return Failure(
            reason="unhealthy",
            detail=f"the container was ended {when}: its health check kept failing",
            hint="look at what the health check asks and at the log of the service",
        )
    if ended.exit_code == _KILLED:
        return Failure(
            reason="killed",
            detail=f"the container was killed {when} (exit code 137)",
            hint="it probably used more memory than its limit; raise memory_limit",
        )
    if ended.exit_code is not None and not _not_started(ended):
        return Failure(
            reason="exited",
            detail=f"the container ended {when} with exit code {ended.exit_code}",
            hint="its last lines say why",
        )
    return Failure(
        reason="not-started",
        detail=f"the container could not be started: {error}",
        hint=_step(error, "check the command, the limits and the image"),
    )


def silent(health: Health) -> bool:
    """Nothing listens, says lifeline in words in which no program has a part."""
    return health.asked[:1] == (LIFELINE,) and health.answer.startswith("nothing listens")


def unhealthy(health: Health, *, ready: bool) -> Failure:
    """Of a release that its health check ended: what was asked, what came, and for how long."""
    seconds = (health.last - (health.since if ready else health.started)).total_seconds()
    if silent(health):
        when = "after it had been healthy" if ready else f"{seconds:.0f} s after its start"
        return Failure(
            reason="not-listening",
            detail=f"{when} {health.answer}",
            hint="set port to the one on which the program listens, or let it listen on the port"
            " that the variable PORT says; if it needs longer to start, set a longer"
            " health_check.start_period",
        )
    when = "after it had been healthy" if ready else "after its start"
    detail = f"the health check failed for {seconds:.0f} s {when}: "
    if health.asked[:1] == (LIFELINE,):
        return Failure(
            reason="unhealthy",
            detail=detail + health.answer,
            hint="look at the log of the service; health_check.path has to answer 2xx or 3xx,"
            " health_check.host is sent as Host, and health_check.start_period is the time that it"
            " has to start",
        )
    asked = shlex.join(health.asked) if len(health.asked) > 1 else "".join(health.asked)
    said = f"said: {health.answer}" if health.answer else "said nothing"
    return Failure(
        reason="unhealthy",
        detail=f"{detail}`{asked}` ended with {health.exit_code} and {said}",
        hint="the command of a health check has to be there in the container and to end with 0; set"
        " health_check on the service to ask something else than its image does, or a longer"
        " health_check.start_period",
    )


_NO_ROOM = (
    "look whether a node has left what cpu_reservation and memory_reservation ask for; with less"
    " reserved, or more free, deploy again"
)


def never_ready(tasks: Sequence[TaskView]) -> Failure:
    if not tasks or all(item.phase == "stopping" for item in tasks):
        detail = "no task was placed on a node in time"
        hint = _NO_ROOM
    else:
        detail = "it did not become ready in time"
        hint = "it has to listen on its port; check port, and the log of the service"
        errors = "; ".join(sorted({item.error for item in tasks if item.error}))
        if errors:
            detail, hint = f"{detail}: {errors}", _step(errors, hint)
    return Failure(reason="rollout-timeout", detail=detail, hint=hint)


def no_route() -> Failure:
    return Failure(
        reason="route-timeout",
        detail="the proxy did not confirm the new release in time",
        hint="look whether the service proxy-sync runs and what its log says",
    )


def engine_away(detail: str) -> Failure:
    return Failure(
        reason="engine-away",
        detail=f"the container engine did not answer until the time was over: {detail}",
        hint="look whether the engine runs on the server, then deploy again",
    )


def too_late() -> Failure:
    return Failure(
        reason="rollout-timeout",
        detail="the time of this deployment was over before its release could be made",
        hint="deploy again; if it waited for an earlier deployment, look at how long that one took",
    )


def waited_for(name: str) -> Failure:
    """Of one that starts after another, which serves already."""
    return Failure(
        reason="rollout-timeout",
        detail=f"it starts after {name}, which goes on as it was and did not run, or was not"
        " healthy, until the time of this deployment was over",
        hint=f"look at the log of the service for what {name} says; restart the service, or change"
        f" {name}, so that it begins anew",
    )


def internal(deployment: str, step: str, error: Exception) -> Failure:
    """The error's own words may hold what is secret: the deployer's log has them."""
    return Failure(
        reason="internal-error",
        detail=f"the platform itself failed again and again while it rolled out the deployment"
        f" {deployment} (step {step}, {type(error).__name__})",
        hint="deploy again; if it fails in the same way, give the operator the deployment's id:"
        " the log of the deployer says more",
    )


def workloads_unreadable(detail: str) -> Failure:
    return Failure(
        reason="workloads-unreadable",
        detail=f"what this deployment is to run can't be read: {detail}",
        hint="deploy with a build; if many are concerned, the master key was changed",
    )


def image_missing(which: str) -> Failure:
    """Its name, or the engine's words."""
    return Failure(
        reason="image-missing",
        detail=f"the image is not on the node: {which}",
        hint="deploy with a build",
    )


def no_command(image: str) -> Failure:
    return Failure(
        reason="no-command",
        detail=f"there is nothing to run: the image {image} has no command, and neither has the"
        " service",
        hint="set `command` of the service, or CMD in the Dockerfile, then deploy again",
    )


def no_port(path: str) -> Failure:
    return Failure(
        reason="port-unknown",
        detail=f"the health check asks {path}, but it is not known on which port the service"
        " listens",
        hint="set port, or let the image EXPOSE exactly one",
    )


def apart(volumes: Sequence[str], nodes: Sequence[str]) -> Failure:
    named = ", ".join(volumes)
    return Failure(
        reason="volumes-apart",
        detail=f"its volumes ({named}) and its image are on different nodes: {', '.join(nodes)}",
        hint="use volumes of one node and an image that is there or in a registry, or a volume of a"
        " new name; docs/operations.md says how to take the data along",
    )


def refused(detail: str) -> Failure:
    return Failure(
        reason="engine-refused",
        detail=f"the engine refused the release: {detail}",
        hint="check the limits, the command and the port",
    )


def with_lines(failure: Failure, lines: Sequence[str]) -> Failure:
    """`lines` is what the program printed last: a Failure clips it when it is made."""
    return Failure(
        reason=failure.reason, detail=failure.detail, hint=failure.hint, lines=tuple(lines[-LAST:])
    )


def of_workload(release: Release, workload: Released, failure: Failure) -> Failure:
    """It names the workload where there are several."""
    return failure.model_copy(update={"detail": named(release, workload, failure.detail)})


def named(release: Release, workload: Released, text: str) -> str:
    """As `of_workload`."""
    return text if len(release.workloads) == 1 else f"{workload.name}: {text}"


def job(code: int, ended: TaskView | None) -> Failure:
    """`ended`: its task, where Swarm still knows it."""
    if ended is not None and _not_started(ended):
        return task(ended, ready=False)
    why = "its last lines say why"
    if code == _KILLED:
        why = "it was killed, probably as it used more memory than its limit; raise memory_limit"
    return Failure(
        reason="job-failed",
        detail=f"the job ended with exit code {code}",
        hint=f"{why}; what it has done is not undone",
    )


def job_late(tasks: Sequence[TaskView]) -> Failure:
    """Of one that was started."""
    if any(item.error for item in tasks):
        return never_ready(tasks)
    return Failure(
        reason="rollout-timeout",
        detail="the job had not ended when the time of the rollout was over",
        hint="its last lines say how far it came; set a longer rollout_seconds, or let it do less;"
        " what it has done is not undone",
    )


def not_free(holds: Sequence[str]) -> Failure:
    return Failure(
        reason="rollout-timeout",
        detail=f"{_had(holds)} had not ended when the time of this deployment was over",
        hint="let the program end when it gets its stop_signal, or set a shorter"
        " stop_grace_seconds, or a longer rollout_seconds",
    )


def job_lost() -> Failure:
    return Failure(
        reason="job-lost",
        detail="the job was started, and how it ended is not known: its Swarm service is gone",
        hint="look whether it did its work, then deploy again: it is not run twice by itself",
    )
