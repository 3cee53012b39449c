"""Carries out one step of a rollout: its effect on the engine, and the fact that tells it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypedDict, assert_never

from slipway.contracts import labels
from slipway.contracts.build import BuildSucceeded
from slipway.contracts.event import Event
from slipway.contracts.rollout import (
    DriftRepaired,
    Release,
    RolloutCancelled,
    RolloutEvent,
    RolloutFailed,
    RolloutReady,
    RolloutRemoved,
    RolloutScaled,
    RolloutStarted,
    RolloutState,
    RolloutStopped,
    RolloutSucceeded,
    RolloutSuperseded,
)
from slipway.contracts.values import Failure, Kind
from slipway.contracts.variables import UnknownReference, resolve
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime import failpoints
from slipway.runtime.append import Appender
from slipway.runtime.clock import iso
from slipway.runtime.engine import EngineRefused
from slipway.runtime.logging import logger
from slipway.sealing import CannotOpen, Opener

from deployer.rollout import domain, explain, render
from deployer.rollout.domain import ReleaseView, View
from deployer.rollout.observe import Memory, request, requested
from deployer.rollout.plan import (
    Cancel,
    Create,
    Drop,
    Fail,
    Finish,
    NoteScaled,
    NoteStopped,
    Ready,
    Remove,
    Rest,
    RolloutStep,
    Scale,
    Start,
    Succeed,
    Wait,
)
from deployer.rollout.releases import Owner, Releases

failpoints.register(
    "deployer.started.appended",
    "deployer.create.before",
    "deployer.create.after",
    "deployer.ready.appended",
    "deployer.succeeded.appended",
    "deployer.remove.after",
)


class Of(TypedDict):
    """What every event of a rollout names."""

    service: str
    kind: Kind


class ReleaseEngine(Protocol):
    """What of the engine a rollout changes, and what it needs to know for that."""

    async def create(self, body: Mapping[str, Any]) -> None:
        """One that is there under the same name is the same release: names are derived."""
        ...

    async def scale(self, release: ReleaseView, replicas: int) -> None:
        """Under the version that was looked at: a process that was paused changes nothing."""
        ...

    async def remove(self, release: ReleaseView) -> None: ...

    async def remove_images(self, service: str) -> None:
        """All that were built for it. One that a container still uses is left."""
        ...

    async def image_config(self, reference: str) -> Mapping[str, Any] | None: ...
    async def knows_start_interval(self) -> bool: ...
    async def lines(self, container: str, count: int = 20) -> list[str]: ...


class EnvironmentNetworks(Protocol):
    async def made(self, organization: str, environment: str) -> str:
        """The name of the environment's network, which is there now."""
        ...


class Steps:
    def __init__(
        self,
        store: EventStore,
        engine: ReleaseEngine,
        releases: Releases,
        networks: EnvironmentNetworks,
        opener: Opener,
        clock: Clock,
        instance: str,
    ) -> None:
        self._store, self._engine, self._releases = store, engine, releases
        self._networks, self._opener = networks, opener
        self._clock, self._instance = clock, instance
        self._appender = Appender(store, clock, "deployer")

    async def perform(self, owner: Owner, view: View, memory: Memory, step: RolloutStep) -> None:
        """Raises what the engine and the log raise; then nothing of it is known to have happened,
        and everything is looked at again."""
        subject, state = Subject(owner[0], "rollout", owner[1]), view.rollout
        of = Of(service=owner[1], kind=view.kind)
        match step:
            case Start(pending):
                release = await self._release(subject, _request_of_turn(memory), pending.sequence)
                limit = _deadline(memory, view, "rollout")
                after = domain.started(state, pending, release, limit)
                event = RolloutStarted(**of, deployment=pending.deployment, state=after)
                await self._append(subject, view, event, "started")
                await failpoints.hit("deployer.started.appended")
            case Drop(pending, superseded):
                kind = RolloutSuperseded if superseded else RolloutCancelled
                event = kind(
                    **of, deployment=pending.deployment, state=domain.dropped(state, pending)
                )
                await self._append(subject, view, event, "dropped")
            case Create(release, replicas, repair):
                await self._create(owner, state, release, replicas, memory)
                await self._releases.look(owner)
                if memory.impossible is None:
                    self._there(owner, release)
                if repair:
                    what = f"the release of {release.deployment} was missing and was made again"
                    await self._drift(subject, view, of, what)
            case Ready(tasks):
                after = domain.ready(state, tasks, iso(view.now), _deadline(memory, view, "route"))
                event = RolloutReady(**of, deployment=_wanted(state).deployment, state=after)
                await self._append(subject, view, event, "ready")
                await failpoints.hit("deployer.ready.appended")
            case Succeed():
                after = domain.succeeded(state, view.replicas)
                event = RolloutSucceeded(**of, deployment=_wanted(state).deployment, state=after)
                await self._append(subject, view, event, "succeeded")
                await failpoints.hit("deployer.succeeded.appended")
            case Fail(failure):
                deployment = _wanted(state).deployment
                failure = await self._with_lines(failure, view.releases.get(deployment))
                event = RolloutFailed(
                    **of, deployment=deployment, state=domain.given_up(state), failure=failure
                )
                await self._append(subject, view, event, "failed")
            case Cancel():
                deployment = _wanted(state).deployment
                event = RolloutCancelled(**of, deployment=deployment, state=domain.given_up(state))
                await self._append(subject, view, event, "cancelled")
            case Remove(former):
                await self._engine.remove(former)
                await self._releases.look(owner)
                await failpoints.hit("deployer.remove.after")
            case Scale(release, replicas):
                try:
                    await self._engine.scale(release, replicas)
                finally:  # somebody else may have changed it: its version is another then
                    await self._releases.look(owner)
            case NoteScaled(replicas):
                after = state.model_copy(update={"replicas": replicas})
                await self._append(
                    subject, view, RolloutScaled(**of, state=after), f"scaled.{replicas}"
                )
            case NoteStopped():
                after = state.model_copy(update={"stopped": True})
                await self._append(subject, view, RolloutStopped(**of, state=after), "stopped")
            case Finish():
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
        """A deployment that waits or is being rolled out ends as failed; nothing where it has ended
        meanwhile. `queued`: it has come as far as the queue."""

        def decide(head: Commit | None) -> tuple[Event, ...]:
            state = domain.state_of(head.events[-1] if head else None)
            if queued and not domain.unfinished(state, deployment):
                return ()
            after = domain.failed(state, deployment)
            event = RolloutFailed(
                service=subject.id, kind=kind, deployment=deployment, state=after, failure=failure
            )
            return (event,)

        await self._appender.append(
            subject, "given-up", decide, cause=deployment, correlation=deployment
        )

    async def _release(self, subject: Subject, requested: Commit, sequence: int) -> Release:
        deployment = requested.subject.id
        specification = request(requested).specification
        build = await self._store.head(Subject(subject.organization, "build", deployment))
        built = build.events[-1] if build else None
        if not isinstance(built, BuildSucceeded):
            raise RuntimeError(f"{deployment} is queued without an image")
        runtime = specification.settings.runtime
        return Release(
            deployment=deployment,
            sequence=sequence,
            swarm_service=labels.release(self._instance, specification.name, deployment),
            image=built.image,
            specification_digest=specification.digest(),
            port=render.port_of(specification, built.image.ports),
            settle_seconds=runtime.settle_seconds,
            drain_seconds=runtime.drain_seconds,
            health_path=runtime.health_check.path if runtime.health_check else None,
            commit=built.commit,
        )

    async def _create(
        self, owner: Owner, state: RolloutState, release: Release, replicas: int, memory: Memory
    ) -> None:
        """What makes a wanted release impossible is kept in `memory`: the next step says so."""
        organization = owner[0]
        wanted = state.wanted is not None and state.wanted.deployment == release.deployment
        asked = request(await requested(self._store, organization, release.deployment))
        try:
            unseal = await self._opener.for_organization(organization)
            variables = resolve(asked.specification.variables, unseal)
        except (CannotOpen, UnknownReference) as error:
            if not wanted:
                raise
            memory.impossible = explain.secrets_unreadable(str(error))
            return
        if wanted and release.port is None and release.health_path:
            memory.impossible = explain.no_port(release.health_path)
            return
        config = await self._engine.image_config(release.image.reference)
        if wanted and config is not None and not render.program_of(asked.specification, config):
            memory.impossible = explain.no_command(release.image.source or release.image.reference)
            return
        body = render.swarm_service(
            instance=self._instance,
            organization=organization,
            project=asked.project,
            environment=asked.environment,
            service=asked.service,
            network=await self._networks.made(organization, asked.environment),
            release=release,
            specification=asked.specification,
            variables=variables,
            image_config=config or {},
            replicas=replicas,
            start_interval=await self._engine.knows_start_interval(),
        )
        await failpoints.hit("deployer.create.before")
        try:
            await self._engine.create(body)
        except EngineRefused as error:
            if not wanted:
                raise
            memory.impossible = explain.refused(str(error))
            return
        await failpoints.hit("deployer.create.after")

    def _there(self, owner: Owner, release: Release) -> None:
        """What was made is seen. If not, something else has its name."""
        if release.deployment not in self._releases.of(owner):
            name = release.swarm_service
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

    async def _with_lines(self, failure: Failure, release: ReleaseView | None) -> Failure:
        for task in release.tasks if release else ():
            lines: Sequence[str] = await self._engine.lines(task.container)
            if lines:
                return explain.with_lines(failure, lines)
        return failure

    async def _append(self, subject: Subject, view: View, event: RolloutEvent, step: str) -> None:
        correlation = event.deployment or subject.id
        await self._appender.behind(view.sequence, subject, step, event, correlation=correlation)


def _wanted(state: RolloutState) -> Release:
    if state.wanted is None:
        raise RuntimeError("a step of a rollout was planned where nothing is rolled out")
    return state.wanted


def _request_of_turn(memory: Memory) -> Commit:
    if memory.requested is None:
        raise RuntimeError("the request of the deployment was not read")
    return memory.requested


def _deadline(memory: Memory, view: View, phase: str) -> str:
    commit = _request_of_turn(memory)
    limits = request(commit).limits
    seconds = limits.rollout if phase == "rollout" else limits.route
    return iso(domain.until(commit.meta.at, view.now, limits, seconds))
