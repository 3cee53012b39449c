"""Whenever a deployment is requested, its image is built or resolved: once."""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from slipway.contracts.build import (
    BuildCancelled,
    BuildFailed,
    BuildStarted,
    BuildSucceeded,
    BuildSwept,
    WorkloadsObject,
)
from slipway.contracts.deployment import DeploymentRequested
from slipway.contracts.event import Event, NewerRelease, Unknown
from slipway.contracts.limits import BuildLimits
from slipway.contracts.redact import Redactor
from slipway.contracts.service import ServiceDeleted
from slipway.contracts.values import Failure
from slipway.contracts.workload import LARGEST, Workloads, shown, to_json
from slipway.eventstore.log_store import LogStore
from slipway.eventstore.objects import Objects
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime import failpoints, retry
from slipway.runtime.append import Appender
from slipway.runtime.clock import iso
from slipway.runtime.logging import logger
from slipway.runtime.reactor import NoFact
from slipway.sealing import CannotOpen, Opener

from builder.build import failures
from builder.build.failures import BuildError
from builder.build.job import BuildKits, Cloner, Images, Job, Programs
from builder.build.limits import limits
from builder.build.log import BuildLog
from builder.build.room import Disk
from builder.build.slots import FairSlots
from builder.build.variables import opened, with_files
from builder.build.work import work
from builder.kinds import kind_of
from builder.settings import BuilderSettings

failpoints.register(
    "builder.build.before",
    "builder.build.after",
    "builder.build.appended",
)
_ENDS = (BuildSucceeded, BuildFailed, BuildCancelled, BuildSwept)
_ATTEMPTS = 2
"""So often a build is begun; what ended the builder, or nobody thought of, would do so again."""

type Made = Workloads | BuildSucceeded
type Work = Callable[[Job], Awaitable[Made]]


@dataclass(frozen=True, slots=True)
class _Order:
    """A deployment's request."""

    commit: Commit
    requested: DeploymentRequested

    @property
    def id(self) -> str:
        return self.commit.subject.id

    @property
    def subject(self) -> Subject:
        return Subject(self.commit.subject.organization, "build", self.id)

    @property
    def about(self) -> dict[str, Any]:
        """What every event of the build says."""
        requested = self.requested
        return {
            "service": requested.service,
            "kind": requested.kind,
            "environment": requested.environment,
        }


def key(commit: Commit) -> str | None:
    """Builds of one service one after another, and what is done once it is deleted after them;
    other events of deployments and services don't concern it."""
    event = commit.events[0]
    if _of_newer(event) or isinstance(event, ServiceDeleted):
        return commit.subject.id
    return event.service if isinstance(event, DeploymentRequested) else None


def _of_newer(event: Event) -> bool:
    """A request that this release can't read."""
    return isinstance(event, Unknown) and event.name == DeploymentRequested.type


def _timed_out(job: Job, seconds: float) -> Failure:
    waited = job.deadline.waited_too_long
    return failures.waited_too_long() if waited else failures.timed_out(seconds)


class Builds:
    def __init__(
        self,
        store: EventStore,
        logs: LogStore,
        archive: Objects,
        sealed: Objects,
        engine: Images,
        buildkits: BuildKits,
        run: Programs,
        disk: Disk,
        clone: Cloner,
        opener: Opener,
        clock: Clock,
        settings: BuilderSettings,
        work: Work = work,
    ) -> None:
        self._store, self._logs, self._archive, self._sealed = store, logs, archive, sealed
        self._engine, self._buildkits = engine, buildkits
        self._run, self._disk, self._clone, self._opener = run, disk, clone, opener
        self._clock, self._settings, self._work = clock, settings, work
        self._appender = Appender(store, clock, "builder")
        self._slots = FairSlots(settings.builds_at_once)
        self._copying = FairSlots(settings.copies_at_once)
        self._running: dict[str, asyncio.Task[BuildSucceeded]] = {}
        self._stopped: set[str] = set()

    async def stop(self, commit: Commit) -> None:
        """From the control durable: whatever comes after the request asks to stop or is the end.
        The work ends now; the build's own handler says so."""
        if not isinstance(commit.events[0], DeploymentRequested):
            task = self._running.get(commit.subject.id)
            if task is not None:
                self._stopped.add(commit.subject.id)
                task.cancel()

    async def react(self, commit: Commit) -> None:
        requested = commit.events[0]
        if _of_newer(requested):
            # A dead letter in the end: it can be asked for again when it can be read.
            raise NewerRelease("a request of a newer release can't be built by this one")
        if isinstance(requested, ServiceDeleted):
            # No rollback needs what its deployments ran.
            await self._sealed.remove(commit.subject.id)
        if not isinstance(requested, DeploymentRequested):
            return
        organization = commit.subject.organization
        allowed = await limits(self._store, self._settings, organization)
        async with self._slot(requested, organization, allowed.slots):
            await self._one(_Order(commit, requested))

    def _slot(
        self, requested: DeploymentRequested, organization: str, most: int | None
    ) -> AbstractAsyncContextManager[None]:
        """A copy starts programs too, but need not wait for builds."""
        if requested.repeats is not None:
            return contextlib.nullcontext()
        built = kind_of(requested.specification).is_built
        return (self._slots if built else self._copying).taken(organization, most)

    async def dead(self, commit: Commit, error: Exception) -> None:
        """The request could not be handled, however often it was tried."""
        requested = commit.events[0]
        if not isinstance(requested, DeploymentRequested):
            raise NoFact
        order = _Order(commit, requested)
        failure = failures.unforeseen(error, order.id)
        await self._append(order, "outcome", BuildFailed(**order.about, failure=failure), None)

    async def _one(self, order: _Order) -> None:
        head = await self._store.head(order.subject)
        last = head.events[-1] if head else None
        if isinstance(last, _ENDS):
            return
        stopped = await self._stop_asked(order)
        if stopped and last is None:
            return  # the gateway ended it: nobody had begun
        attempt = 1
        deadline = iso(self._clock.now() + timedelta(seconds=order.requested.limits.build))
        if isinstance(last, BuildStarted):
            attempt, deadline = last.attempt + 1, last.deadline
        organization = order.subject.organization
        allowed = await limits(self._store, self._settings, organization)
        log = BuildLog(
            self._logs, self._archive, self._clock, organization, order.id, allowed.output
        )
        if attempt > _ATTEMPTS and not stopped:
            logger(deployment=order.id).error("given up: it was begun often enough")
            failure = failures.given_up(_ATTEMPTS, order.id)
            await self._failed(order, attempt, failure, None, log)
            return
        prepared = await self._prepared(order, log, allowed)
        started = BuildStarted(**order.about, attempt=attempt, deadline=deadline)
        await self._append(order, f"started.{attempt}", started, attempt)
        if stopped or await self._stop_asked(order):
            await self._cancelled(order, attempt, None)
            return
        logger(deployment=order.id).info("building", attempt=attempt)
        await failpoints.hit("builder.build.before")
        if attempt > 1:
            log.say(f"the build was interrupted; this is attempt {attempt}")
        if isinstance(prepared, Failure):
            await self._failed(order, attempt, prepared, None, log)
        else:
            await self._build(order, attempt, prepared, deadline)

    async def _prepared(self, order: _Order, log: BuildLog, allowed: BuildLimits) -> Job | Failure:
        """A failure when the variables can't be opened: it never goes out empty."""
        organization = order.subject.organization
        try:
            key = await self._opener.for_organization(organization)
            specification = order.requested.specification
            variables = opened(specification.variables, key.open)
            settings, files = with_files(specification.settings, key.open)
            former = await self._former(order)
        except CannotOpen as error:
            return failures.secrets_unreadable(str(error))
        except BuildError as error:
            return error.failure
        hidden = (*variables.hidden, *files)
        log.hide(await asyncio.to_thread(Redactor, hidden))
        specification = specification.model_copy(update={"settings": settings})
        return Job(
            settings=self._settings,
            engine=self._engine,
            buildkits=self._buildkits,
            run=self._run,
            disk=self._disk,
            clone=self._clone,
            clock=self._clock,
            log=log,
            limits=allowed,
            organization=organization,
            deployment=order.id,
            requested=order.requested.model_copy(update={"specification": specification}),
            variables=variables.values,
            secret_names=variables.secret_names,
            hidden=hidden,
            mark_key=key.secret_for("secrets of builds"),
            former=former,
        )

    async def _former(self, order: _Order) -> tuple[BuildSucceeded, bool] | None:
        """Raises BuildError."""
        repeats = order.requested.repeats
        if repeats is None:
            return None
        subject = Subject(order.subject.organization, "build", repeats.deployment)
        # That its images are swept is no obstacle: what was ordered before keeps them.
        commits = await self._store.load(subject)
        events = [event for commit in commits for event in commit.events]
        for event in events:
            if isinstance(event, BuildSucceeded):
                return event, repeats.whole
        raise BuildError(failures.nothing_to_repeat(repeats.deployment))

    async def _build(self, order: _Order, attempt: int, job: Job, deadline: str) -> None:
        task = self._running[order.id] = asyncio.ensure_future(self._made(order, attempt, job))
        try:
            if await self._stop_asked(order):
                self._stopped.add(order.id)
                task.cancel()
            await self._outcome(order, attempt, job, task, datetime.fromisoformat(deadline))
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(asyncio.wait([task]))
            self._running.pop(order.id, None)
            self._stopped.discard(order.id)

    async def _outcome(
        self, order: _Order, attempt: int, job: Job, task: asyncio.Task[BuildSucceeded],
        deadline: datetime,
    ) -> None:  # fmt: skip
        left = max(0.0, (deadline - self._clock.now()).total_seconds())
        limit = asyncio.timeout(left)
        try:
            async with limit:
                with job.deadline.kept_by(limit):
                    event = await task
        except asyncio.CancelledError:
            if order.id not in self._stopped:
                raise  # this process ends: the build is begun again, without an outcome
            job.log.say("stopped")
            await job.log.close()
            await self._cancelled(order, attempt, job)
        except BuildError as error:
            await self._failed(order, attempt, error.failure, job, job.log)
        except Exception as error:
            if limit.expired():
                failure = _timed_out(job, order.requested.limits.build)
            elif attempt < _ATTEMPTS:
                job.log.say("the builder failed with an error that it does not know; once more")
                await job.log.close()
                raise
            else:
                logger(deployment=order.id).exception("a build failed, nobody knows why")
                failure = failures.unforeseen(error, order.id)
            await self._failed(order, attempt, failure, job, job.log)
        else:
            await self._succeeded(order, attempt, job, event)

    async def _stop_asked(self, order: _Order) -> bool:
        """Or the deployment has ended already."""
        return len(await self._store.load(order.commit.subject, order.commit.sequence)) > 0

    # -- outcomes ---------------------------------------------------------------------------------

    async def _made(self, order: _Order, attempt: int, job: Job) -> BuildSucceeded:
        """What is said of it; the workloads themselves lie sealed where that says. Another attempt
        writes another object: none is ever changed. Raises BuildError."""
        made = await self._work(job)
        if isinstance(made, BuildSucceeded):
            shown_, sealed = made.workloads, made.sealed
        else:
            made = made.model_copy(update={"hidden": job.hidden})
            if len(plain := to_json(made)) > LARGEST:
                raise BuildError(failures.workloads_too_large(len(plain), LARGEST))
            key = await self._opener.for_organization(order.subject.organization)
            name = f"{order.requested.service}.{order.id}.{attempt}"
            data = await asyncio.to_thread(key.seal_object, plain, name)
            await retry.OUTCOME.run(lambda: self._sealed.put(name, data))
            sealed = WorkloadsObject(name=name, hash=hashlib.sha256(data).hexdigest())
            secret = key.secret_for("workload digest")
            shown_ = tuple(shown(workload, secret) for workload in made.items)
        return BuildSucceeded(
            **order.about, workloads=shown_, sealed=sealed, commit=job.commit, steps=job.steps,
            built=job.built,
        )  # fmt: skip

    async def _succeeded(
        self, order: _Order, attempt: int, job: Job, event: BuildSucceeded
    ) -> None:
        await failpoints.hit("builder.build.after")
        await job.log.close()
        await self._say(order, event, attempt)
        await failpoints.hit("builder.build.appended")

    async def _failed(
        self, order: _Order, attempt: int, failure: Failure, job: Job | None, log: BuildLog
    ) -> None:
        log.say(f"failed: {failure.detail}")
        if failure.hint:
            log.say(f"what to do: {failure.hint}")
        await log.close()
        commit, steps = (job.commit, job.steps) if job else (None, ())
        event = BuildFailed(**order.about, failure=failure, commit=commit, steps=steps)
        await self._say(order, event, attempt)

    async def _cancelled(self, order: _Order, attempt: int, job: Job | None) -> None:
        event = BuildCancelled(**order.about, steps=job.steps if job else ())
        await self._say(order, event, attempt)

    async def _say(self, order: _Order, outcome: Event, attempt: int) -> None:
        """What was reached is not given up because the log is away for a moment."""
        await retry.OUTCOME.run(lambda: self._append(order, "outcome", outcome, attempt))

    async def _append(self, order: _Order, step: str, event: Event, attempt: int | None) -> None:
        """Nothing is appended behind an outcome, and nothing by an attempt that another one has
        followed. None: by no attempt."""

        def decide(head: Commit | None) -> Sequence[Event]:
            last = head.events[-1] if head else None
            if isinstance(last, _ENDS):
                return ()
            if attempt is not None and isinstance(last, BuildStarted) and last.attempt > attempt:
                return ()
            return (event,)

        meta = order.commit.meta
        await self._appender.append(
            order.subject, step, decide, cause=meta.commit, correlation=order.id,
            since=order.commit.sequence, traceparent=meta.traceparent,
        )  # fmt: skip
