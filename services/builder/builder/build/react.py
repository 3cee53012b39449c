"""Whenever a deployment is requested, its image is built or resolved: once."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

from slipway.contracts.build import BuildCancelled, BuildFailed, BuildStarted, BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested, DeploymentStopRequested
from slipway.contracts.event import Event
from slipway.contracts.values import BuiltImage, Failure
from slipway.contracts.variables import UnknownReference, merged, resolve
from slipway.eventstore.log_store import LogStore
from slipway.eventstore.objects import Objects
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime import failpoints
from slipway.runtime.append import Appender
from slipway.runtime.clock import iso
from slipway.sealing import CannotOpen, Opener

from builder.adapters.engine import Engine
from builder.build import explain
from builder.build.log import BuildLog
from builder.build.slots import FairSlots
from builder.build.work import Failed, Work
from builder.settings import BuilderSettings

failpoints.register(
    "builder.build.before",
    "builder.build.after",
    "builder.build.appended",
)
_ENDS = (BuildSucceeded, BuildFailed, BuildCancelled)


def key(commit: Commit) -> str | None:
    """Builds of one service one after another; other events of deployments are not ours."""
    event = commit.events[0]
    return event.service if isinstance(event, DeploymentRequested) else None


class Builds:
    def __init__(
        self,
        store: EventStore,
        logs: LogStore,
        archive: Objects,
        engine: Engine,
        opener: Opener,
        clock: Clock,
        settings: BuilderSettings,
    ) -> None:
        self._store, self._logs, self._archive = store, logs, archive
        self._engine, self._opener = engine, opener
        self._clock, self._settings = clock, settings
        self._appender = Appender(store, clock, "builder")
        self._slots = FairSlots(settings.builds_at_once)
        self._running: dict[str, asyncio.Task[BuiltImage]] = {}
        self._stopped: set[str] = set()

    async def stop(self, commit: Commit) -> None:
        """From the control durable: ends the work now; the build's own handler says so."""
        if any(isinstance(event, DeploymentStopRequested) for event in commit.events):
            task = self._running.get(commit.subject.id)
            if task is not None:
                self._stopped.add(commit.subject.id)
                task.cancel()

    async def react(self, commit: Commit) -> None:
        requested = commit.events[0]
        if not isinstance(requested, DeploymentRequested):
            return
        builds = requested.image is None and requested.specification.settings.source.kind == "git"
        organization = commit.subject.organization
        async with self._slots.taken(organization) if builds else contextlib.nullcontext():
            await self._one(commit, requested)

    async def _one(self, commit: Commit, requested: DeploymentRequested) -> None:
        id_, organization = commit.subject.id, commit.subject.organization
        subject = Subject(organization, "build", id_)
        head = await self._store.head(subject)
        last = head.events[-1] if head else None
        if isinstance(last, _ENDS):
            return
        stopped = await self._stop_asked(commit)
        if stopped and last is None:
            return  # the gateway ended it: nobody had begun
        attempt = last.attempt + 1 if isinstance(last, BuildStarted) else 1
        started = BuildStarted(
            service=requested.service,
            kind=requested.kind,
            environment=requested.environment,
            attempt=attempt,
            deadline=iso(self._clock.now() + timedelta(seconds=requested.limits.build)),
        )
        await self._append(commit, subject, f"started.{attempt}", [started], attempt)
        if stopped or await self._stop_asked(commit):
            await self._cancelled(commit, subject, requested, attempt, None)
            return
        await failpoints.hit("builder.build.before")
        log = BuildLog(self._logs, self._archive, self._clock, organization, id_)
        if attempt > 1:
            log.say(f"the builder was restarted; this is attempt {attempt}")
        try:
            work = await self._prepare(commit, requested, log)
        except Failed as error:
            await self._failed(commit, subject, requested, attempt, error.failure, None, log)
            return
        task = self._running[id_] = asyncio.create_task(work.run())
        try:
            if await self._stop_asked(commit):
                self._stopped.add(id_)
                task.cancel()
            async with asyncio.timeout(requested.limits.build):
                image = await task
        except TimeoutError:
            failure = explain.timed_out(requested.limits.build)
            await self._failed(commit, subject, requested, attempt, failure, work, log)
        except Failed as error:
            await self._failed(commit, subject, requested, attempt, error.failure, work, log)
        except asyncio.CancelledError:
            if id_ not in self._stopped:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(asyncio.wait([task]))
                raise  # this process ends: the build is begun again, without an outcome
            log.say("stopped")
            await log.close()
            await self._cancelled(commit, subject, requested, attempt, work)
        else:
            await failpoints.hit("builder.build.after")
            await log.close()
            succeeded = BuildSucceeded(
                service=requested.service,
                kind=requested.kind,
                environment=requested.environment,
                image=image,
                commit=work.commit,
                steps=work.steps,
                built=work.built,
            )
            await self._append(commit, subject, "outcome", [succeeded], attempt)
            await failpoints.hit("builder.build.appended")
        finally:
            self._running.pop(id_, None)
            self._stopped.discard(id_)

    async def _prepare(self, commit: Commit, requested: DeploymentRequested, log: BuildLog) -> Work:
        """Raises Failed when the variables can't be opened: it never goes out empty."""
        organization = commit.subject.organization
        scopes = requested.specification.variables
        try:
            unseal = await self._opener.for_organization(organization)
            variables = resolve(scopes, unseal)
            sealed = {n: v for n, v in variables.items() if merged(scopes)[n][1].secret}
            hidden = [
                unseal(item.sealed, scoped.scope, item.name)
                for scoped in scopes
                for item in scoped.items
                if item.sealed is not None
            ]
        except (CannotOpen, UnknownReference) as error:
            raise Failed(explain.secrets_unreadable(str(error))) from error
        log.hide(hidden)
        return Work(
            settings=self._settings,
            engine=self._engine,
            clock=self._clock,
            log=log,
            organization=organization,
            deployment=commit.subject.id,
            requested=requested,
            variables=variables,
            secret_names=frozenset(sealed),
        )

    async def _stop_asked(self, commit: Commit) -> bool:
        """Or the deployment has ended already."""
        return len(await self._store.load(commit.subject, commit.sequence)) > 0

    async def _failed(
        self, commit: Commit, subject: Subject, requested: DeploymentRequested, attempt: int,
        failure: Failure, work: Work | None, log: BuildLog,
    ) -> None:  # fmt: skip
        log.say(f"failed: {failure.detail}")
        if failure.hint:
            log.say(f"what to do: {failure.hint}")
        await log.close()
        event = BuildFailed(
            service=requested.service,
            kind=requested.kind,
            environment=requested.environment,
            failure=failure,
            commit=work.commit if work else None,
            steps=work.steps if work else (),
        )
        await self._append(commit, subject, "outcome", [event], attempt)

    async def _cancelled(
        self, commit: Commit, subject: Subject, requested: DeploymentRequested, attempt: int,
        work: Work | None,
    ) -> None:  # fmt: skip
        event = BuildCancelled(
            service=requested.service,
            kind=requested.kind,
            environment=requested.environment,
            steps=work.steps if work else (),
        )
        await self._append(commit, subject, "outcome", [event], attempt)

    async def _append(
        self, commit: Commit, subject: Subject, step: str, events: Sequence[Event], attempt: int
    ) -> None:
        """Nothing is appended behind an outcome, and nothing by an attempt that another one has
        followed."""

        def decide(head: Commit | None) -> Sequence[Event]:
            last = head.events[-1] if head else None
            if isinstance(last, _ENDS):
                return ()
            if isinstance(last, BuildStarted) and last.attempt > attempt:
                return ()
            return events

        await self._appender.append(
            subject, step, decide, cause=commit.meta.commit, correlation=commit.subject.id,
            since=commit.sequence, traceparent=commit.meta.traceparent,
        )  # fmt: skip
