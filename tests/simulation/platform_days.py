"""A seeded day of the whole platform: gateway, builder, deployer and proxy-sync as they are, each
of which dies again and again, and people who deploy, push, cancel, stop, start, restart, roll back,
scale and delete. What has to hold, whatever the seed, is judged here.

metrics takes no part in it: it follows no durable, and what it appends (`alert`) nobody who deploys
reads."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

from slipway.contracts.build import BuildCancelled, BuildFailed, BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested
from slipway.contracts.event import Event
from slipway.contracts.project import EnvironmentCreated, ProjectCreated
from slipway.contracts.rollout import RolloutCancelled, RolloutEvent, RolloutFailed, RolloutState
from slipway.contracts.service import ServiceDeleted, ServiceScaled, ServiceStarted, ServiceStopped

from tests.simulation.builder import Workshop
from tests.simulation.gateway import Front
from tests.simulation.owner import Owner, OwnerOfApplication, OwnerOfStack
from tests.simulation.platform import ENDS, ENVIRONMENT, PROJECT, deployer, end, fact, routed
from tests.simulation.proxy import Traefik, add_domain, proxy_sync
from tests.simulation.world import EPOCH, Behaviour, Life, Swarm, World

OUTCOMES = (BuildSucceeded, BuildFailed, BuildCancelled)
QUIET = 5.0
"""So many seconds after its owner asked for something else, what runs of a service may be another
than what was said."""
PATIENCE = 1800.0
"""Seconds after the last request in which every deployment has ended."""
STOPPED = ("cancelled", "superseded", "expired")
FITS = {
    "rollout.succeeded": ("succeeded",), "rollout.failed": ("failed",),
    "rollout.cancelled": STOPPED, "rollout.superseded": STOPPED, "build.failed": ("failed",),
    "build.cancelled": STOPPED,
}  # fmt: skip
"""What whoever held the work said → how the deployment may end."""


class WatchedTraefik(Traefik):
    """It sees to it that no public address leads to a task which has not answered its probe."""

    def __init__(self, swarm: Swarm, wrong: list[str]) -> None:
        super().__init__(swarm)
        self._answered: set[str] = set()
        self._wrong = wrong

    async def probe(self, task: str, port: int, *args: Any, **more: Any) -> Any:
        answer = await super().probe(task, port, *args, **more)
        if answer.status == 200:
            self._answered |= self.addresses(f"p-{task}-{port}")
        return answer

    def write(self, name: str, document: dict[str, Any]) -> None:
        super().write(name, document)
        routers = document.get("http", {}).get("routers", {})
        for router, found in routers.items():
            silent = set(self._servers(found["service"])) - self._answered
            if "Host(" in found["rule"] and silent and not router.startswith("p-"):
                self._wrong.append(f"requests go to {silent}, which did not answer")

    def addresses(self, router: str) -> set[str]:
        return {
            address
            for document in self.documents.values()
            for name, found in document["http"].get("routers", {}).items()
            if name == router
            for address in self._servers(found["service"])
        }


class PlatformDay:
    deployments = 14
    """Of each service."""

    def __init__(self, seed: int, folder: Path) -> None:
        random.seed(seed)  # pauses before what is tried again
        self.chance = Random(seed)
        self.world, self.swarm = World(chance=self.chance), Swarm()
        self.wrong: list[str] = []
        self.traefik = WatchedTraefik(self.swarm, self.wrong)
        self.workshop = Workshop(self.world, self.swarm, self.chance, folder)
        self.front = Front(self.world, self.workshop.logs, self.workshop.archive)
        given = (self.front, self.workshop, self.chance, self.deployments)
        self.owners: tuple[Owner, ...] = (
            OwnerOfApplication("web", *given),
            OwnerOfStack("shop", *given, published=6379),
            OwnerOfStack("wiki", *given, published=6380),
        )
        self.swarm.on_remove = self._removed
        self.formers: Counter[str] = Counter()
        self.beside: list[asyncio.Task[None]] = []

    # - what happens

    def services(self) -> dict[str, Callable[[Life], Coroutine[Any, Any, None]]]:
        return {
            "api-gateway": self.front.live,
            "builder": self.workshop.live,
            "deployer": lambda life: deployer(self.world, self.swarm, life),
            "proxy-sync": lambda life: proxy_sync(self.world, self.swarm, self.traefik, life),
        }

    async def _lives(self, durable: str, work: Callable[[Life], Coroutine[Any, Any, None]]) -> None:
        """Life after life; each hears some of the old messages again."""
        while True:
            steps = int(10 ** self.chance.uniform(1.5, 4.5))
            life = Life(self.chance.choice((None, self.chance.randint(1, 60))), steps)
            running = asyncio.create_task(life.run(work(life)))
            patience = asyncio.create_task(asyncio.sleep(self.chance.uniform(10, 120)))
            await asyncio.wait([running, patience], return_when=asyncio.FIRST_COMPLETED)
            await end(running, patience)
            await asyncio.sleep(self.chance.expovariate(0.5))
            heard = self.world._acknowledged.get(durable, set())
            for sequence in [s for s in sorted(heard) if self.chance.random() < 0.1]:
                heard.discard(sequence)

    async def run(self) -> None:
        created = ProjectCreated(name="Shop", environment=ENVIRONMENT)
        await fact(self.world, "project", PROJECT, created)
        event = EnvironmentCreated(project=PROJECT, name="Production")
        await fact(self.world, "environment", ENVIRONMENT, event)
        dying = [
            asyncio.create_task(self._lives(durable, work))
            for durable, work in self.services().items()
        ]
        async with asyncio.TaskGroup() as group:
            for owner in self.owners:
                group.create_task(self._live(owner))
        until = self.world.clock.monotonic() + PATIENCE
        while self.world.clock.monotonic() < until and self._open():
            await asyncio.sleep(5)
        await asyncio.sleep(60)
        for image in self.swarm.behaviours:
            self.swarm.behaves(image, Behaviour())
        await end(*dying)
        last = [asyncio.create_task(work(Life())) for work in self.services().values()]
        await asyncio.sleep(180)
        await self.judge()
        await end(*last, *self.beside)

    async def _live(self, owner: Owner) -> None:
        await owner.create()
        domain = None if isinstance(owner, OwnerOfApplication) else "web"
        await add_domain(self.world, owner.service, _host(owner), domain)
        self.beside.append(asyncio.create_task(self._watch(owner)))
        await owner.live()

    def _open(self) -> bool:
        return any(len(self.ends(name)) == 0 for owner in self.owners for name in owner.asked)

    # - what is wrong at once

    def _removed(self, name: str) -> None:
        """What serves never goes before another does, and nothing while requests go to it."""
        for owner in self.owners:
            if owner.deleted or not (events := self.rollout(owner)):
                continue
            serving, route = events[-1].state.serving, routed(self.world, owner.service)
            if serving is not None and name in {each.swarm_service for each in serving.programs}:
                self.wrong.append(f"{name} was removed while it served")
            elif route is not None and name in route.state.named and name in _served(events):
                self.wrong.append(f"{name} was removed while it was routed to")

    async def _watch(self, owner: Owner) -> None:
        """Where it is said that the former release runs, it does."""
        async for commit in self.world.follow(0, f"evt.*.rollout.{owner.service}"):
            event = commit.events[-1]
            if not isinstance(event, RolloutFailed | RolloutCancelled):
                continue
            self.formers[event.former] += 1
            before = [e for e in self.rollout(owner) if e.deployment == event.deployment]
            undone = next((e for e in before if e.type == "rollout.reverting"), None)
            if undone is None or undone.state.reverting is None:
                continue  # it had not started
            if (event.former == "none") is not (event.state.serving is None):
                self.wrong.append(f"{event.deployment}: {event.former}, and something serves")
            if event.former == "running" and event.state.stopped:
                self.wrong.append(f"{event.deployment}: running, and it was stopped")
            quiet = self.world.clock.monotonic() - owner.touched > QUIET
            if event.former == "running" and quiet and not self.stopped(owner):
                self._former(owner, undone.state, undone.state.reverting.paused)

    def _former(self, owner: Owner, state: RolloutState, paused: tuple[str, ...]) -> None:
        for name, replicas in self.wanted(owner, state).items():
            if name in paused and len(self.swarm.addresses(name)) < replicas:
                self.wrong.append(f"{name} does not run, and the former was said to")

    # - what is known

    def ends(self, deployment: str) -> list[str]:
        events = self.world.events("deployment", deployment)
        words = [event.type.removeprefix("deployment.") for event in events]
        return [word for word in words if word not in ("requested", "stop_requested")]

    def requested(self, deployment: str) -> DeploymentRequested:
        event = self.world.events("deployment", deployment)[0]
        assert isinstance(event, DeploymentRequested)
        return event

    def rollout(self, owner: Owner) -> list[RolloutEvent]:
        events = self.world.events("rollout", owner.service)
        return [event for event in events if isinstance(event, RolloutEvent)]

    def stopped(self, owner: Owner) -> bool:
        events = self.world.events("service", owner.service)
        said = [e for e in events if isinstance(e, ServiceStopped | ServiceStarted)]
        return bool(said) and isinstance(said[-1], ServiceStopped)

    def wanted(self, owner: Owner, state: RolloutState) -> dict[str, int]:
        """Replicas of what serves, by Swarm service."""
        if state.serving is None or state.removed:
            return {}
        events = self.world.events("service", owner.service)
        scaled = {e.workload: e.replicas for e in events if isinstance(e, ServiceScaled)}
        stopped = state.stopped or self.stopped(owner)
        return {
            each.swarm_service: 0 if stopped else scaled.get(each.name, each.replicas)
            for each in state.serving.programs
        }

    def history(self) -> list[tuple[str, ...]]:
        """What was appended, and when."""
        return [
            (str(commit.meta.at), str(commit.subject), *(event.type for event in commit.events))
            for commit in self.world._log
        ]

    def told(self, service: str) -> str:
        """All that is about a service, to be read when something is wrong."""
        rows: list[str] = []
        for commit in self.world._log:
            for event in commit.events:
                about = getattr(event, "service", commit.subject.id)
                if about == service:
                    at = (commit.meta.at - EPOCH).total_seconds()
                    named = getattr(event, "deployment", None) or commit.subject.id
                    former = getattr(event, "former", "")
                    rows.append(f"{at:8.2f} {commit.sequence:4} {named[:8]} {event.type} {former}")
        return "\n".join(rows)

    # - what is judged in the end

    async def judge(self) -> None:
        everything = "\n".join(self.told(owner.service) for owner in self.owners)
        assert self.wrong == [], everything
        assert self.swarm.met == [], everything
        twice = {name: runs for name, runs in self.swarm.job_runs.items() if runs > 1}
        assert twice == {}, everything
        running: dict[str, int] = {}
        for owner in self.owners:
            for deployment in owner.asked:
                self._one_end(owner, deployment)
            running |= self._runs(owner)
        assert self.swarm.by_name() == running, everything
        assert {n: len(self.swarm.addresses(n)) for n in running} == running, everything
        assert len(self.swarm.containers) == sum(running.values()), everything
        letters = [*await self.front.letters.list(), *await self.workshop.letters.list()]
        assert letters == []
        await self._shown()

    def _one_end(self, owner: Owner, deployment: str) -> None:
        """Of the deployment, of its build, of its rollout; and they agree."""
        told = f"{deployment}\n{self.told(owner.service)}"
        ends = self.ends(deployment)
        assert len(ends) == 1, f"{ends} of {told}"
        build = [e for e in self.world.events("build", deployment) if isinstance(e, OUTCOMES)]
        rollout = [e for e in self.rollout(owner) if e.deployment == deployment and e.type in ENDS]
        assert max(len(build), len(rollout)) <= 1, told
        self._own_reason(owner, deployment, told)
        said: list[Event] = [*rollout] or [e for e in build if e.type in FITS]
        for event in said:
            assert ends[0] in FITS[event.type], f"{ends}, {event.type} of {told}"
        if not said:
            assert ends[0] in STOPPED, f"{ends} of {told}"

    def _own_reason(self, owner: Owner, deployment: str, told: str) -> None:
        """What repeats another has what that had, and only a later one takes its place."""
        requested = self.requested(deployment)
        repeats, made = requested.repeats, self._made(deployment)
        if repeats is not None and repeats.whole and made is not None:
            assert made == self._made(repeats.deployment), f"not what it repeats: {told}"
        if self.ends(deployment) == ["superseded"]:
            assert deployment != owner.asked[-1], f"nothing took its place: {told}"

    def _made(self, deployment: str) -> Any:
        events = self.world.events("build", deployment)
        last = events[-1] if events else None
        return last.workloads if isinstance(last, BuildSucceeded) else None

    def _runs(self, owner: Owner) -> dict[str, int]:
        """What is to run of it, and requests reach: all of its tasks, and no others."""
        told, events = self.told(owner.service), self.rollout(owner)
        servers = sorted(self.traefik.public_servers(_host(owner)))
        deleted = isinstance(self.world.events("service", owner.service)[-1], ServiceDeleted)
        assert deleted is owner.deleted, told
        if deleted or not events:
            assert servers == []
            return {}
        state = events[-1].state
        assert (state.wanted, state.queue, state.reverting) == (None, (), None), told
        started = [e.state.highest for e in events if e.type == "rollout.started"]
        assert started == sorted(set(started)), told
        succeeded = [e.deployment for e in events if e.type == "rollout.succeeded"]
        last = state.serving.deployment if state.serving else None
        assert last == (succeeded[-1] if succeeded else None), told
        domain = None if isinstance(owner, OwnerOfApplication) else "web"
        program = state.serving.program(domain) if state.serving else None
        addresses = self.swarm.addresses(program.swarm_service) if program else []
        assert servers == sorted(addresses), told
        return self.wanted(owner, state)

    async def _shown(self) -> None:
        """The views are the fold of the log."""
        for owner in self.owners:
            for id_ in owner.asked:
                document = await self.front.documents.get("deployment", id_)
                assert document is not None
                assert document["state"]["phase"] == self.ends(id_)[0]


def _host(owner: Owner) -> str:
    return f"{owner.name}.example.org"


def _served(events: list[RolloutEvent]) -> set[str]:
    """The Swarm services of all releases that came to serve."""
    return {
        name
        for event in events
        if event.type == "rollout.succeeded" and event.state.serving
        for name in event.state.serving.names
    }
