"""Images of deployments that nobody rolls back to any more are removed, from the registry and from
the engine. Who keeps is read from the log each time, so nothing is lost by a death.

First it is said (`build.swept`), and from then on nothing new repeats that deployment; what was
ordered before is in the log a while later, when the images are removed, and keeps them.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from slipway.contracts import registry
from slipway.contracts.build import BuildStarted, BuildSucceeded, BuildSwept
from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentExpired,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    DeploymentSuperseded,
)
from slipway.contracts.event import Event, NewerRelease, Unknown, readable
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.service import ServiceDeleted
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.actor import insist
from slipway.runtime.append import Appender
from slipway.runtime.engine import EngineRefused
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

from builder.images import plan
from builder.images.plan import Course
from builder.settings import BuilderSettings

_SOON, _AGAIN, _LATER, _HOUR, _DAY = 2.0, 60.0, 600.0, 3600.0, 86400.0
_ALL = ""
"""In place of a service: all names that there are."""
_MOST = 5000
"""Of names, and of tags of a service, so many go at once: others' wait for it."""


class Repositories(Protocol):
    """See `adapters.repositories`."""

    async def organizations(self) -> list[str]: ...
    async def names(self, organization: str) -> list[str]: ...
    async def tags(self, organization: str, service: str) -> list[str]: ...
    async def digests(
        self, organization: str, service: str, tags: Iterable[str]
    ) -> dict[str, str]: ...
    async def drop_tags(self, organization: str, service: str, tags: Sequence[str]) -> int: ...
    async def drop(self, organization: str, names: Sequence[str]) -> int: ...
    async def drop_longer(self, organization: str, service: str, most: int) -> int: ...
    async def clear_swept(self) -> None: ...


class Images(Protocol):
    """Of the engine. All raise EngineAway and EngineRefused."""

    async def fetched(self, organization: str, service: str) -> list[str]: ...
    async def forget(self, reference: str) -> None: ...


class Garbage(Protocol):
    """See `collection`."""

    def may_be(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Log:
    """An organization's, as it was at a moment (of a clock that nobody sets, and of the other)."""

    organization: str
    monotonic: float
    at: datetime
    courses: Mapping[str, Course]
    builds: Mapping[str, Commit] | None
    """The last commits of all of them, the first time."""


class Sweep:
    def __init__(
        self,
        store: EventStore,
        repositories: Repositories,
        engine: Images,
        garbage: Garbage,
        clock: Clock,
        settings: BuilderSettings,
    ) -> None:
        self._store, self._repositories, self._engine = store, repositories, engine
        self._garbage, self._clock, self._settings = garbage, clock, settings
        self._appender = Appender(store, clock, "builder")
        self._wake = asyncio.Event()
        self._due: dict[tuple[str, str], float] = {}
        """When a service of an organization is looked at."""
        self._all_at = 0.0
        self._settled: dict[str, set[str]] = {}
        """By organization, the deployments whose images need not be thought of any more."""
        self._said: dict[str, float] = {}
        """When it was said, of those that are not settled yet."""
        self._trouble = Trouble()
        """Of organizations, and of images that the engine does not let go."""

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
                self._garbage.may_be()  # whatever its build has pushed besides
            case _:
                return
        self._look(commit.subject.organization, service, _SOON)
        self._wake.set()

    def built(self, commit: Commit) -> None:
        """What a request asked for has been done: steps have pushed what they liked, to the other
        services of their organization too, and each tag of theirs costs the next collection."""
        requested = commit.events[0]
        if isinstance(requested, DeploymentRequested) and requested.repeats is None:
            self._look(commit.subject.organization, requested.service, _SOON)
            self._look(commit.subject.organization, _ALL, _LATER)
            self._wake.set()

    def _look(self, organization: str, service: str, seconds: float) -> None:
        at, known = self._now() + seconds, self._due.get((organization, service))
        self._due[organization, service] = at if known is None else min(at, known)

    async def run(self) -> None:
        """For ever, whatever the engine and the log say: there is nothing to fail."""
        await insist(self._wake, self._round, _not_well, longest=_AGAIN)

    async def _round(self) -> float:
        if self._now() >= self._all_at:
            for organization in await self._repositories.organizations():
                self._look(organization, _ALL, 0.0)
            self._all_at = self._now() + _DAY
        due: dict[str, set[str]] = {}
        for organization, service in [at for at in self._due if self._due[at] <= self._now()]:
            due.setdefault(organization, set()).add(service)
            del self._due[organization, service]
        for organization, services in due.items():
            try:
                await self._organization(organization, services)
                self._trouble.over(organization)
            except Exception as error:  # the next one's go all the same
                wait = self._later(organization)
                if self._trouble.worth_saying(organization):
                    _not_well(repr(error))
                for service in services:
                    self._look(organization, service, wait)
        return max(0.1, min([self._all_at, *self._due.values()]) - self._now())

    def _later(self, what: str) -> float:
        """What lasts is tried rarely: all of the organization's log is read for it."""
        return min(_HOUR, _AGAIN * self._trouble.met(what))

    # -- what is kept ------------------------------------------------------------------------------

    async def _organization(self, organization: str, services: Collection[str]) -> None:
        """What lies there is looked at before the log is: of what came later nothing is removed.
        The engine comes first: what it has fetched has a tag by then."""
        if _ALL in services:
            services = {*services, *await self._services(organization)} - {_ALL}
        here = {each: await self._engine.fetched(organization, each) for each in services}
        tags = {each: await self._repositories.tags(organization, each) for each in services}
        log = await self._read(organization)
        for each in services:
            if await self._lives(organization, each):
                await self._service(log, each, tags[each], here[each])
            else:
                await self._remove(organization, each, here[each])

    async def _services(self, organization: str) -> list[str]:
        """Those that were there once. Names of which the log knows nothing go."""
        names = await self._repositories.names(organization)
        known = {head.subject.id for head in await self._store.heads(organization, "service")}
        strange = [name for name in names if name not in known]
        await self._drop(organization, _ALL, strange)
        return [name for name in names if name in known]

    async def _read(self, organization: str) -> _Log:
        """Raises NewerRelease."""
        monotonic, at = self._now(), self._clock.now()
        heads = await self._store.heads(organization, "deployment")
        builds = None
        if organization not in self._settled:
            heads_of_builds = await self._store.heads(organization, "build")
            builds = {head.subject.id: head for head in heads_of_builds}
            self._settled[organization] = set()
        return _Log(organization, monotonic, at, plan.courses(heads), builds)

    async def _lives(self, organization: str, service: str) -> bool:
        head = await self._store.head(Subject(organization, "service", service))
        return head is not None and not isinstance(head.events[-1], ServiceDeleted)

    async def _stays(self, log: _Log, service: str, course: Course) -> set[str]:
        """References of images that a rollback may need, that run, or that are about to; and for a
        while of those of which it was said that they are none of these any more."""
        organization, most = log.organization, self._settings.images_kept
        head = await self._store.head(Subject(organization, "rollout", service))
        last = readable(head.events[-1] if head else None, RolloutEvent)
        found: set[str] = set()
        needed = {*course.kept(most), *course.open}
        if last is not None:
            releases = [each for each in (last.state.serving, last.state.wanted) if each]
            found |= {work.image.reference for each in releases for work in each.workloads}
            needed |= {each.deployment for each in releases}
            needed |= {each.deployment for each in last.state.queue}
        left = [each for each in course.left(most) if each not in needed]
        needed |= await self._leaving(log, service, left)
        for deployment in course.open:
            commits = await self._store.load(Subject(organization, "deployment", deployment))
            asked = readable(commits[0].events[0], DeploymentRequested)
            if asked is not None and asked.repeats is not None:
                needed.add(asked.repeats.deployment)
        for deployment in needed:
            for commit in await self._store.load(Subject(organization, "build", deployment)):
                for event in commit.events:
                    built = readable(event, BuildSucceeded)
                    found |= {work.image.reference for work in built.workloads} if built else set()
        return found

    # -- what leaves -------------------------------------------------------------------------------

    async def _leaving(self, log: _Log, service: str, left: Sequence[str]) -> set[str]:
        """Says it of those of which nobody has. Those whose images stay for a while. Raises
        NewerRelease."""
        settled = self._settled[log.organization]
        found: set[str] = set()
        for deployment in left:
            if deployment in settled:
                continue
            head = await self._last_of_build(log, deployment)
            seconds = await self._seconds(log, deployment, head) if head else 0.0
            if seconds is not None and seconds > 0:
                found.add(deployment)
                self._look(log.organization, service, seconds)
            elif seconds is not None:
                settled.add(deployment)
                self._said.pop(deployment, None)
        return found

    async def _last_of_build(self, log: _Log, deployment: str) -> Commit | None:
        if log.builds is not None:
            return log.builds.get(deployment)
        return await self._store.head(Subject(log.organization, "build", deployment))

    async def _seconds(self, log: _Log, deployment: str, head: Commit) -> float | None:
        """For which its images stay. None: its build has not ended."""
        longest = self._settings.images_seconds
        match last := head.events[-1]:
            case BuildStarted():
                return None
            case BuildSucceeded():
                await self._say(deployment, last, head)
                self._said[deployment] = self._now()
                return longest
            case BuildSwept():  # where a former life said it, a clock may have been set since
                ago = max(0.0, (log.at - head.meta.at).total_seconds())
                said = self._said.setdefault(deployment, log.monotonic - ago)
                return longest - (log.monotonic - said)
            case Unknown():
                raise NewerRelease(f"{last.name} was written by a newer release")
            case _:
                return 0.0

    async def _say(self, deployment: str, built: BuildSucceeded, head: Commit) -> None:
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

    # -- what goes ---------------------------------------------------------------------------------

    async def _service(
        self, log: _Log, service: str, tags: Sequence[str], here: Sequence[str]
    ) -> None:
        organization, course = log.organization, log.courses.get(service, Course())
        stays = await self._stays(log, service, course)
        own, go = await asyncio.to_thread(course.own, tags)
        digests = await self._repositories.digests(organization, service, own)
        place = f"{registry.repository(organization, service)}@"
        known = {each.removeprefix(place) for each in stays}
        pushed, more = await asyncio.to_thread(course.staying, own, digests, known)
        stays |= {f"{place}{digest}" for digest in pushed}
        go += more
        await self._drop(organization, service, go)
        longer = self._repositories.drop_longer(organization, service, _MOST)
        if await self._dropping(longer) == _MOST:
            self._look(organization, service, _SOON)
        gone = [reference for reference in here if reference not in stays]
        later = frozenset(go[_MOST:]) if gone else frozenset[str]()
        for reference in gone:
            if reference not in await self._named(organization, service, later):
                await self._forget(organization, service, reference)

    async def _named(self, organization: str, service: str, later: frozenset[str]) -> set[str]:
        """References that a tag of the service names now, but for those that go later: the
        same that is built again meanwhile has the same digest, and the engine fetches it then."""
        tags = await self._repositories.tags(organization, service)
        left = (tag for tag in tags if tag not in later)
        digests = await self._repositories.digests(organization, service, left)
        place = registry.repository(organization, service)
        return {f"{place}@{each}" for each in digests.values()}

    async def _remove(self, organization: str, service: str, here: Sequence[str]) -> None:
        """All of a service that is gone."""
        for reference in here:
            await self._forget(organization, service, reference)
        if await self._dropping(self._repositories.drop(organization, (service,))):
            _said(organization, service, ("*",))

    async def _drop(self, organization: str, service: str, go: Sequence[str]) -> None:
        """Tags of a service, or the names that are none's."""
        now, later = go[:_MOST], go[_MOST:]
        if later:
            self._look(organization, service, _SOON)
        if not now:
            return
        if service == _ALL:
            await self._dropping(self._repositories.drop(organization, now))
        else:
            await self._dropping(self._repositories.drop_tags(organization, service, now))
        _said(organization, service, now)

    async def _dropping(self, drop: Awaitable[int]) -> int:
        """What is away leaves something in the registry, though it can't be removed."""
        if there := await drop:
            self._garbage.may_be()
        await self._repositories.clear_swept()
        return there

    async def _forget(self, organization: str, service: str, reference: str) -> None:
        try:
            await self._engine.forget(reference)
            self._trouble.over(reference)
        except EngineRefused as error:
            self._look(organization, service, self._later(reference))
            if self._trouble.worth_saying(reference):
                said = logger(service=service)
                said.info("an image stays", name=reference, why=str(error)[:300])

    def _now(self) -> float:
        return self._clock.monotonic()


def _said(organization: str, service: str, tags: Sequence[str]) -> None:
    said = logger(service=service)
    said.info("images removed", organization=organization, tags=tags[:10], all=len(tags))


def _not_well(words: str) -> None:
    logger().warning("sweeping did not go well; it is tried again", error=words[:300])
