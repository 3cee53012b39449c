"""Carries out one step of a rollout: its effect on the engine, and the fact that tells it."""

from collections.abc import Collection
from contextlib import suppress
from typing import Protocol, TypedDict, assert_never

from slipway.contracts.event import Event
from slipway.contracts.rollout import (
    DriftRepaired,
    Former,
    Release,
    Released,
    RolloutCancelled,
    RolloutEvent,
    RolloutFailed,
    RolloutJobEnded,
    RolloutJobStarted,
    RolloutReady,
    RolloutRemoved,
    RolloutRemoving,
    RolloutReverting,
    RolloutScaled,
    RolloutStarted,
    RolloutState,
    RolloutStopped,
    RolloutSucceeded,
    RolloutSuperseded,
    RolloutWaiting,
)
from slipway.contracts.values import Failure, Kind
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime import failpoints
from slipway.runtime.append import Appender
from slipway.runtime.clock import iso
from slipway.runtime.engine import EngineMissing, EngineRefused
from slipway.runtime.logging import logger
from slipway.sealing import CannotOpen

from deployer.rollout import domain, explain, undoing
from deployer.rollout.bringing import replicas_of
from deployer.rollout.creating import CreatingEngine, Creator, Impossible
from deployer.rollout.domain import SwarmServiceView, View
from deployer.rollout.observe import Memory, request
from deployer.rollout.printed import Printed
from deployer.rollout.releases import Owner, Releases
from deployer.rollout.sealed import Missing
from deployer.rollout.step import (
    Create,
    Drop,
    End,
    EndContainers,
    Finish,
    NoteJobEnded,
    NoteRemoving,
    NoteScaled,
    NoteStopped,
    NoteWaiting,
    Ready,
    Remove,
    Rest,
    Revert,
    RolloutStep,
    Scale,
    Start,
    StartJob,
    Stop,
    Succeed,
    Wait,
)

failpoints.register(
    "deployer.started.appended",
    "deployer.ready.appended",
    "deployer.succeeded.appended",
    "deployer.reverting.appended",
    "deployer.job_started.appended",
    "deployer.job_ended.appended",
    "deployer.undone.appended",
    "deployer.scale.after",
    "deployer.remove.after",
)


_LOOK_AGAIN = 1.0
_LEAVING = 0.25
"""Seconds for the answers under way when the proxy leads nobody new to a container."""


class Of(TypedDict):
    """What every event of a rollout names."""

    service: str
    kind: Kind


class About(Of):
    deployment: str
    state: RolloutState


class Ended(About):
    former: Former


class ReleaseEngine(CreatingEngine, Protocol):
    """What of the engine a rollout changes, and what it needs to know for that."""

    async def scale(self, there: SwarmServiceView, replicas: int) -> None:
        """Under the version that was looked at: a process that was paused changes nothing."""
        ...

    async def stop(self, container: str) -> None:
        """What Swarm is ending is told to end now, where that is on this node and does no harm."""
        ...

    async def ends_by_itself(self, there: SwarmServiceView) -> bool:
        """Some of its tasks have, though they were to run. Raises EngineMissing when it is gone."""
        ...

    async def remove(self, there: SwarmServiceView) -> None: ...

    async def end_containers(self, service: str) -> None:
        """All of it on this node, at once and by force: they are gone then."""
        ...

    async def remove_images(self, service: str) -> None:
        """All that were built for it. One that a container still uses is left."""
        ...

    async def remove_files(self, service: str, kept: Collection[str]) -> None:
        """Of all its releases but these, whose names are their Swarm services'."""
        ...


class Steps:
    def __init__(
        self,
        store: EventStore,
        engine: ReleaseEngine,
        releases: Releases,
        creator: Creator,
        printed: Printed,
        clock: Clock,
    ) -> None:
        self._engine, self._releases, self._creator = engine, releases, creator
        self._printed, self._clock = printed, clock
        self._store = store
        self._appender = Appender(store, clock, "deployer")

    async def perform(self, owner: Owner, view: View, memory: Memory, step: RolloutStep) -> None:
        """Raises what the engine and the log raise; then nothing of it is known to have happened,
        and everything is looked at again."""
        subject, state = Subject(owner[0], "rollout", owner[1]), view.rollout
        of = Of(service=owner[1], kind=view.kind)
        match step:
            case Start(pending):
                try:
                    asked = _request_of_turn(memory)
                    serving = domain.living(state)
                    release = await self._creator.release(subject, asked, pending.sequence, serving)
                except (CannotOpen, Missing) as error:
                    failure = explain.workloads_unreadable(str(error))
                    await self.give_up(subject, view.kind, pending.deployment, failure)
                    return
                limit = _deadline(memory, view, "rollout")
                after = domain.started(state, pending, release, limit)
                event = RolloutStarted(**of, deployment=pending.deployment, state=after)
                await self._append(subject, view, event, "started")
                await failpoints.hit("deployer.started.appended")
            case Drop(pending, superseded):
                about = About(
                    **of, deployment=pending.deployment, state=domain.dropped(state, pending)
                )
                if superseded:
                    event = RolloutSuperseded(**about)
                else:
                    event = RolloutCancelled(**about, former=undoing.said(state))
                await self._append(subject, view, event, "dropped")
            case Create(release, workload, replicas, repair):
                await self._create(owner, view, memory, release, workload, replicas)
                if memory.impossible is None:
                    self._there(owner, workload)
                if repair:
                    what = f"{workload.name} of {release.deployment} was missing and was made again"
                    await self._drift(subject, view, of, what)
            case NoteWaiting(waiting):
                after = state.model_copy(update={"waiting": waiting})
                event = RolloutWaiting(
                    **of, deployment=_wanted(state).deployment, state=after, words=waiting.words
                )
                await self._append(subject, view, event, f"waiting.{waiting.times}")
            case Ready(tasks):
                after = domain.ready(state, tasks, iso(view.now), _deadline(memory, view, "route"))
                event = RolloutReady(**of, deployment=_wanted(state).deployment, state=after)
                await self._append(subject, view, event, "ready")
                await failpoints.hit("deployer.ready.appended")
            case Succeed():
                after = domain.succeeded(state, _replicas(view, _wanted(state)))
                event = RolloutSucceeded(**of, deployment=_wanted(state).deployment, state=after)
                await self._append(subject, view, event, "succeeded")
                await failpoints.hit("deployer.succeeded.appended")
            case Revert(reverting):
                wanted = _wanted(state)
                for job in (each for each in wanted.workloads if domain.runs(state, each)):
                    await self._printed.keep(owner, view, wanted, job)
                if reverting.failure is not None:
                    failure = reverting.failure
                    if lines := await self._printed.last(owner, view, wanted):
                        failure = explain.with_lines(failure, lines)
                    reverting = reverting.model_copy(update={"failure": failure})
                after = domain.undone(state, reverting)
                event = RolloutReverting(**of, deployment=wanted.deployment, state=after)
                await self._append(subject, view, event, "reverting")
                await failpoints.hit("deployer.reverting.appended")
            case End(reverting, former):
                event = _end(of, state, former)
                await self._append(subject, view, event, reverting.outcome)
                await failpoints.hit("deployer.undone.appended")
            case StartJob(release, workload):
                after = domain.job_started(state, workload.name)
                event = RolloutJobStarted(
                    **of, deployment=release.deployment, state=after, workload=workload.name
                )
                if not await self._append(subject, view, event, f"job-started.{workload.name}"):
                    return  # without the fact it might run twice
                await failpoints.hit("deployer.job_started.appended")
                await self._create(owner, view, memory, release, workload, 1)
            case NoteJobEnded(workload, code):
                await self._printed.keep(owner, view, _wanted(state), workload)
                after = domain.job_ended(state, workload.name, code)
                event = RolloutJobEnded(
                    **of, deployment=_wanted(state).deployment, state=after,
                    workload=workload.name, exit=code,
                )  # fmt: skip
                await self._append(subject, view, event, f"job-ended.{workload.name}")
                await failpoints.hit("deployer.job_ended.appended")
            case Remove(former):
                await self._remove(former)
                await self._releases.look(owner)
                await self._engine.remove_files(owner[1], self._releases.of(owner))
                await failpoints.hit("deployer.remove.after")
            case Scale(there, replicas):
                try:
                    await self._engine.scale(there, replicas)
                finally:  # somebody else may have changed it: its version is another then
                    await self._releases.look(owner)
                await failpoints.hit("deployer.scale.after")
            case Stop(container):
                memory.told |= {container}
                await self._clock.sleep(_LEAVING)
                await self._engine.stop(container)
            case NoteScaled(replicas):
                after = state.model_copy(update={"replicas": replicas})
                now = ".".join(f"{name}-{count}" for name, count in sorted(replicas.items()))
                await self._append(subject, view, RolloutScaled(**of, state=after), f"scaled.{now}")
            case NoteStopped():
                after = state.model_copy(update={"stopped": True})
                await self._append(subject, view, RolloutStopped(**of, state=after), "stopped")
            case NoteRemoving(until):
                after = state.model_copy(update={"removing": until})
                event = RolloutRemoving(**of, state=after, until=until)
                await self._append(subject, view, event, "removing")
            case EndContainers():
                logger(service=owner[1]).warning("containers of a deleted service did not end")
                await self._engine.end_containers(owner[1])
                await self._clock.sleep(_LOOK_AGAIN)
            case Finish():
                await self._engine.remove_files(owner[1], ())
                await self._engine.remove_images(owner[1])
                after = RolloutState(
                    environment=state.environment, highest=state.highest, removed=True
                )
                await self._append(subject, view, RolloutRemoved(**of, state=after), "removed")
            case Wait() | Rest():
                pass
            case _:
                assert_never(step)

    async def give_up(
        self, subject: Subject, kind: Kind, deployment: str, failure: Failure, *,
        queued: bool = True,
    ) -> None:  # fmt: skip
        """A deployment that waits ends as failed, what is being rolled out is undone, and what
        can't be undone ends; nothing where it has ended meanwhile. `queued`: it has come as far as
        the queue."""
        of = Of(service=subject.id, kind=kind)
        undone = _state(await self._store.head(subject)).reverting is not None

        def decide(head: Commit | None) -> tuple[Event, ...]:
            state = _state(head)
            if queued and not domain.unfinished(state, deployment):
                return ()
            if state.wanted is None or state.wanted.deployment != deployment:
                about = Ended(
                    **of, deployment=deployment, state=domain.failed(state, deployment),
                    former=undoing.said(state),
                )  # fmt: skip
                return (RolloutFailed(**about, failure=failure),)
            if undone:
                return (_end(of, state, undoing.said(state)),) if state.reverting else ()
            if state.reverting is not None:
                return ()
            reverting = undoing.begun(state, self._clock.now(), "failed", failure)
            after = domain.undone(state, reverting)
            return (RolloutReverting(**of, deployment=deployment, state=after),)

        await self._appender.append(
            subject, "not-undone" if undone else "given-up", decide,
            cause=deployment, correlation=deployment,
        )  # fmt: skip

    async def _remove(self, there: SwarmServiceView) -> None:
        """What ends again and again has no tasks before it goes: engines have died of one that was
        removed while a task of it was being made or ended."""
        with suppress(EngineMissing):
            if there.replicas and not there.job and await self._engine.ends_by_itself(there):
                await self._engine.scale(there, 0)
                return
        await self._engine.remove(there)

    async def _create(
        self, owner: Owner, view: View, memory: Memory,
        release: Release, workload: Released, replicas: int,
    ) -> None:  # fmt: skip
        """What makes a wanted release impossible is kept in `memory`: the next step says so."""
        wanted = view.rollout.wanted
        try:
            await self._creator.create(owner, release, workload, replicas)
        except Impossible as impossible:
            if wanted is None or wanted.deployment != release.deployment:
                raise impossible.__cause__ or impossible from None
            memory.impossible = explain.of_workload(release, workload, impossible.failure)
        await self._releases.look(owner)

    def _there(self, owner: Owner, workload: Released) -> None:
        """What was made is seen. If not, something else has its name."""
        name = workload.swarm_service
        if name not in self._releases.of(owner):
            raise EngineRefused(
                f"the Swarm service {name} is there, without the labels or the mode of a release;"
                f" remove it with `docker service rm {name}`"
            )

    async def _drift(self, subject: Subject, view: View, of: Of, what: str) -> None:
        logger().info("drift repaired", what=what)
        drift = Subject(subject.organization, "drift", subject.id)
        at = iso(self._clock.now())
        await self._appender.append(
            drift,
            "repaired",
            lambda _: (DriftRepaired(**of, what=what),),
            cause=at,
            correlation=at,
            since=view.sequence,
        )

    async def _append(self, subject: Subject, view: View, event: RolloutEvent, step: str) -> bool:
        """False: something came meanwhile, and nothing was appended."""
        correlation = event.deployment or subject.id
        commit = await self._appender.behind(
            view.sequence, subject, step, event, correlation=correlation
        )
        return commit is not None


def _end(of: Of, state: RolloutState, former: Former) -> RolloutEvent:
    """Of what was being undone."""
    after, failure = domain.given_up(state), state.reverting and state.reverting.failure
    about = Ended(**of, deployment=_wanted(state).deployment, state=after, former=former)
    return RolloutFailed(**about, failure=failure) if failure else RolloutCancelled(**about)


def _state(head: Commit | None) -> RolloutState:
    return domain.state_of(head.events[-1] if head else None)


def _wanted(state: RolloutState) -> Release:
    if state.wanted is None:
        raise RuntimeError("a step of a rollout was planned where nothing is rolled out")
    return state.wanted


def _replicas(view: View, release: Release) -> dict[str, int]:
    return {each.name: replicas_of(view, each) for each in release.programs}


def _request_of_turn(memory: Memory) -> Commit:
    if memory.requested is None:
        raise RuntimeError("the request of the deployment was not read")
    return memory.requested


def _deadline(memory: Memory, view: View, phase: str) -> str:
    commit = _request_of_turn(memory)
    limits = request(commit).limits
    seconds = limits.rollout if phase == "rollout" else limits.route
    return iso(domain.until(commit.meta.at, view.now, limits, seconds))
