"""Images of deployments that nobody rolls back to any more are removed, from the registry and from
the engine. Who keeps is read from the log each time, so nothing is lost by a death.

First it is said (`build.swept`), and from then on nothing new repeats that deployment; what was
ordered before is in the log a while later, when the images are removed, and keeps them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from slipway.contracts import registry
from slipway.contracts.build import BuildSucceeded, BuildSwept
from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentExpired,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    DeploymentSuperseded,
)
from slipway.contracts.event import Event, Unknown, readable
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.service import ServiceDeleted
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.actor import insist
from slipway.runtime.append import Appender
from slipway.runtime.engine import EngineRefused
from slipway.runtime.logging import logger

from builder.adapters.repositories import ID
from builder.images import plan
from builder.images.plan import Course
from builder.registry import render
from builder.registry.gate import Gate
from builder.settings import BuilderSettings

_SOON, _AGAIN, _DAY = 2.0, 60.0, 86400.0
_PATIENCE = 600.0
"""Seconds for which builds wait for others to end, once a collection has waited for a day."""
_LONGEST = 900.0
"""Seconds of a collection."""


class Repositories(Protocol):
    """See `adapters.repositories`."""

    async def organizations(self) -> list[str]: ...
    async def services(self, organization: str) -> list[str]: ...
    async def tags(self, organization: str, service: str) -> dict[str, str]: ...
    async def drop_tag(self, organization: str, service: str, tag: str) -> None: ...
    async def drop(self, organization: str, service: str) -> None: ...
    async def drop_longer(self, organization: str, service: str) -> None: ...
    async def library_is_filled(self) -> bool: ...
    async def collecting(self) -> bool: ...
    async def begin_collecting(self) -> None: ...
    async def end_collecting(self) -> None: ...


class Images(Protocol):
    """Of the engine. All raise EngineAway and EngineRefused."""

    async def fetched(self, organization: str, service: str) -> list[str]: ...
    async def forget(self, reference: str) -> None: ...


class Registry(Protocol):
    async def begin_anew(self) -> None: ...


class Run(Protocol):
    """See `shell.run`."""

    async def __call__(self, argv: Sequence[str]) -> tuple[int, str]: ...


class Sweep:
    def __init__(
        self,
        store: EventStore,
        repositories: Repositories,
        engine: Images,
        registry: Registry,
        gate: Gate,
        run: Run,
        clock: Clock,
        settings: BuilderSettings,
    ) -> None:
        self._store, self._repositories, self._engine = store, repositories, engine
        self._registry, self._gate, self._run = registry, gate, run
        self._clock, self._settings = clock, settings
        self._appender = Appender(store, clock, "builder")
        self._wake = asyncio.Event()
        self._due: dict[tuple[str, str], float] = {}
        """When a service of an organization is looked at."""
        self._all_at = 0.0
        self._said: dict[tuple[str, bool], int] = {}
        """Up to which end it has been said: by service, of live ones and of others."""
        self._collect_at = self._now() + settings.collect_seconds
        self._garbage_since: float | None = self._now()
        """What a former life left is not known."""

    def wake(self, commit: Commit) -> None:
        """A deployment has ended, or a service is gone."""
        event = commit.events[-1]
        match event:
            case ServiceDeleted():
                service = commit.subject.id
            case (
                DeploymentSucceeded() | DeploymentFailed() | DeploymentCancelled()
                | DeploymentSuperseded() | DeploymentExpired()
            ):  # fmt: skip
                service = event.service
            case _:
                return
        self._look(commit.subject.organization, service, _SOON)
        self._wake.set()

    def _look(self, organization: str, service: str, seconds: float) -> None:
        at, known = self._now() + seconds, self._due.get((organization, service))
        self._due[organization, service] = at if known is None else min(at, known)

    async def run(self) -> None:
        """For ever, whatever the engine and the log say: there is nothing to fail."""
        await insist(self._wake, self._begin, _warn("collecting"), longest=5.0)
        await insist(self._wake, self._round, _warn("sweeping"), longest=_AGAIN)

    async def _begin(self) -> None:
        """A collection that somebody who died had begun goes on beside the registry: it ends before
        anybody pushes."""
        if await self._repositories.collecting():
            await self._give_up()
        self._gate.open()

    async def _round(self) -> float:
        if self._now() >= self._all_at:
            for organization in await self._repositories.organizations():
                for service in await self._repositories.services(organization):
                    self._look(organization, service, 0.0)
            self._all_at = self._now() + _DAY
        due: dict[str, list[str]] = {}
        for organization, service in [at for at in self._due if self._due[at] <= self._now()]:
            due.setdefault(organization, []).append(service)
            del self._due[organization, service]
        for organization, services in due.items():
            try:
                await self._organization(organization, services)
            except Exception as error:  # the next one's go all the same
                _warn("sweeping")(repr(error))
                for service in services:
                    self._look(organization, service, _AGAIN)
        await self._collect()
        next_ = min([self._all_at, self._next_collection(), *self._due.values()])
        return max(0.1, next_ - self._now())

    # -- what is kept ------------------------------------------------------------------------------

    async def _organization(self, organization: str, services: Sequence[str]) -> None:
        """What lies there is looked at before the log is: of what came later nothing is removed."""
        tags = {each: await self._repositories.tags(organization, each) for each in services}
        here = {each: await self._engine.fetched(organization, each) for each in services}
        heads = await self._store.heads(organization, "deployment")
        courses = plan.courses(heads)
        for each in services:
            if not await self._lives(organization, each):
                await self._remove(organization, each, here[each])
                continue
            course = courses.get(each, Course())
            await self._say(organization, each, course)
            await self._service(organization, each, course, tags[each], here[each])

    async def _lives(self, organization: str, service: str) -> bool:
        if not ID.fullmatch(service):
            return False
        head = await self._store.head(Subject(organization, "service", service))
        return head is not None and not isinstance(head.events[-1], ServiceDeleted)

    async def _remove(self, organization: str, service: str, here: Sequence[str]) -> None:
        """All of a service that is gone, and what is none's."""
        for reference in here:
            await self._forget(organization, service, reference)
        if service in await self._repositories.services(organization):
            await self._repositories.drop(organization, service)
            self._dropped(organization, service, "*")

    async def _say(self, organization: str, service: str, course: Course) -> None:
        """The oldest first: where one has been said, all before it have."""
        for live, left in zip((True, False), course.left(self._settings.images_kept), strict=True):
            unsaid: list[tuple[str, BuildSucceeded, Commit]] = []
            for each in plan.behind(left, self._said.get((service, live), 0)):
                head = await self._store.head(Subject(organization, "build", each.deployment))
                last = head.events[-1] if head else None
                if isinstance(last, BuildSwept):
                    break
                if head is not None and isinstance(last, BuildSucceeded):
                    unsaid.append((each.deployment, last, head))
            for deployment, built, head in reversed(unsaid):
                await self._swept(deployment, built, head)
            if left:
                self._said[service, live] = left[0].sequence

    async def _swept(self, deployment: str, built: BuildSucceeded, head: Commit) -> None:
        event = BuildSwept(
            service=built.service, kind=built.kind, environment=built.environment,
            kept=self._settings.images_kept,
        )  # fmt: skip

        def decide(now: Commit | None) -> Sequence[Event]:
            last = now.events[-1] if now else None
            return (event,) if isinstance(last, BuildSucceeded) else ()

        await self._appender.append(
            head.subject, "swept", decide, cause=head.meta.commit, correlation=deployment,
            since=head.sequence,
        )  # fmt: skip

    async def _kept(self, organization: str, service: str, course: Course) -> set[str]:
        """References of images that a rollback may need, that run, or that are about to."""
        head = await self._store.head(Subject(organization, "rollout", service))
        last = readable(head.events[-1] if head else None, RolloutEvent)
        found: set[str] = set()
        needed = {*course.kept(self._settings.images_kept), *course.open}
        if last is not None:
            releases = [each for each in (last.state.serving, last.state.wanted) if each]
            found |= {work.image.reference for each in releases for work in each.workloads}
            needed |= {each.deployment for each in releases}
            needed |= {each.deployment for each in last.state.queue}
        for deployment in course.open:
            commits = await self._store.load(Subject(organization, "deployment", deployment))
            asked = readable(commits[0].events[0], DeploymentRequested)
            if asked is not None and asked.repeats is not None:
                needed.add(asked.repeats.deployment)
        for deployment in needed:
            for commit in await self._store.load(Subject(organization, "build", deployment)):
                for event in commit.events:
                    if isinstance(event, BuildSucceeded):
                        found |= {work.image.reference for work in event.workloads}
        return found

    # -- what goes ---------------------------------------------------------------------------------

    async def _service(
        self, organization: str, service: str, course: Course, tags: Mapping[str, str],
        here: Sequence[str],
    ) -> None:  # fmt: skip
        stays = await self._kept(organization, service, course)
        repository = registry.repository(organization, service)
        await self._repositories.drop_longer(organization, service)
        for tag, digest in tags.items():
            reference, deployment = f"{repository}@{digest}", tag[: len(service)]
            if reference in stays:
                continue
            left = 0.0
            if deployment in course.open:
                left = _DAY  # its end wakes this
            elif ID.fullmatch(deployment):
                left = await self._seconds(organization, deployment)
            if left > 0:
                stays.add(reference)
                self._look(organization, service, left)
            else:
                await self._repositories.drop_tag(organization, service, tag)
                self._dropped(organization, service, tag)
        for reference in here:
            if reference not in stays:
                await self._forget(organization, service, reference)

    async def _seconds(self, organization: str, deployment: str) -> float:
        """For which the images of one that has ended stay although nothing needs them."""
        head = await self._store.head(Subject(organization, "build", deployment))
        match head.events[-1] if head else None:
            case BuildSwept() if head is not None:
                since = (self._clock.now() - head.meta.at).total_seconds()
                return self._settings.images_seconds - since
            case BuildSucceeded() | Unknown():  # it ended after it was looked at
                return self._settings.images_seconds
            case _:
                return 0.0

    async def _forget(self, organization: str, service: str, reference: str) -> None:
        try:
            await self._engine.forget(reference)
        except EngineRefused as error:
            logger(service=service).info("an image stays", name=reference, why=str(error)[:300])
            self._look(organization, service, _AGAIN)

    def _dropped(self, organization: str, service: str, tag: str) -> None:
        logger(service=service).info("image removed", organization=organization, tag=tag)
        if self._garbage_since is None:
            self._garbage_since = self._now()

    # -- collecting --------------------------------------------------------------------------------

    def _next_collection(self) -> float:
        return self._all_at if self._garbage_since is None else self._collect_at

    async def _collect(self) -> None:
        if self._garbage_since is None or self._now() < self._collect_at:
            return
        self._collect_at = self._now() + self._settings.collect_seconds
        waited = self._now() - self._garbage_since
        try:
            async with self._gate.closed(_PATIENCE if waited > _DAY else 0.0):
                if await self._repositories.library_is_filled():
                    raise TimeoutError
                await self._collected()
        except TimeoutError:  # somebody pushes
            self._collect_at = self._now() + min(_AGAIN, self._settings.collect_seconds)
        else:
            self._garbage_since = None

    async def _collected(self) -> None:
        """Raises RuntimeError with the collector's words. It never goes on once this is left."""
        await self._repositories.begin_collecting()
        try:
            async with asyncio.timeout(_LONGEST):
                code, said = await self._run(render.collect(self._settings.instance))
        except TimeoutError:
            await self._give_up()
            raise RuntimeError(f"the collection did not end in {_LONGEST:.0f} s") from None
        if code:
            await self._give_up()
            raise RuntimeError(f"the registry's collection failed: {said[-300:]}")
        await self._repositories.end_collecting()

    async def _give_up(self) -> None:
        await self._registry.begin_anew()
        await self._repositories.end_collecting()

    def _now(self) -> float:
        return self._clock.monotonic()


def _warn(what: str) -> Callable[[str], None]:
    def said(words: str) -> None:
        logger().warning(f"{what} did not go well; it is tried again", error=words[:300])

    return said
