"""Which images of a service stay, and which go, from the registry's files and from the engine."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builder.adapters.repositories import Repositories
from builder.images.plan import Course, Ended
from builder.images.react import Sweep
from builder.registry.gate import Gate
from builder.settings import BuilderSettings
from slipway.contracts.build import BuildFailed, BuildSucceeded, BuildSwept
from slipway.contracts.deployment import (
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    Repeats,
    Trigger,
)
from slipway.contracts.event import Event
from slipway.contracts.rollout import RolloutState, RolloutSucceeded
from slipway.contracts.service import ServiceDeleted, ServiceStarted
from slipway.contracts.values import (
    ApplicationSettings,
    BuiltImage,
    Failure,
    ImageSource,
    Specification,
)
from slipway.contracts.workload import MAIN, Built
from slipway.eventstore.store import Commit, OutcomeUnknown
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.kernel.ids import derived
from slipway.runtime.engine import EngineRefused
from slipway.testing.releases import SEALED, release

from tests.simulation.world import VirtualClock, World, virtual

ORGANIZATION, SERVICE = derived("organization"), derived("service")
ABOUT: dict[str, Any] = {"service": SERVICE, "kind": "application"}
GRACE = 120.0


@dataclass
class Engine:
    here: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    async def fetched(self, organization: str, service: str) -> list[str]:
        return [name for name in self.here if name.startswith(f"{organization}/{service}@")]

    async def forget(self, reference: str) -> None:
        if reference in self.used:
            raise EngineRefused("a container has it")
        self.here.discard(reference)


@dataclass
class Site:
    """A registry's volume, an engine and the log. What is collected, and how long that takes."""

    root: Path
    world: World = field(default_factory=World)
    engine: Engine = field(default_factory=Engine)
    gate: Gate = field(default_factory=Gate)
    collections: list[str] = field(default_factory=list)
    seconds: float = 1.0
    code: int = 0
    anew: int = 0
    kept: int = 10

    @property
    def repository(self) -> Path:
        return self.root / "docker/registry/v2/repositories" / ORGANIZATION / SERVICE

    async def run(self, argv: Sequence[str]) -> tuple[int, str]:
        assert argv[:3] == ["docker", "exec", "slipway-registry"]
        self.collections.append("begun")
        await asyncio.sleep(self.seconds)
        self.collections.append("ended")
        return self.code, "words"

    async def begin_anew(self) -> None:
        self.anew += 1

    def sweep(self) -> Sweep:
        settings = BuilderSettings(
            instance="slipway", images_kept=self.kept, images_seconds=GRACE, collect_seconds=600
        )
        return Sweep(
            self.world, Repositories(self.root), self.engine, self, self.gate, self.run,
            VirtualClock(), settings,
        )  # fmt: skip

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[Sweep]:
        sweep = self.sweep()
        task = asyncio.create_task(sweep.run())
        try:
            yield sweep
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def fact(self, category: str, id_: str, event: Event) -> None:
        subject = Subject(ORGANIZATION, category, id_)
        head = await self.world.head(subject)
        meta = Meta(
            commit=derived("fact", await self.world.last_sequence()),
            at=self.world.clock.now(),
            actor=Actor("service", "test"),
            correlation=id_,
        )
        await self.world.append(subject, head.head if head else NOTHING, (event,), meta)

    async def begin(self) -> None:
        await self.fact("service", SERVICE, ServiceStarted())

    async def ask(self, name: str, repeats: str | None = None) -> str:
        id_ = derived("deployment", name)
        event = DeploymentRequested(
            **ABOUT, project="p", environment="e", trigger=Trigger(kind="manual"),
            specification=Specification(
                name="web", settings=ApplicationSettings(source=ImageSource(image="web"))
            ),
            repeats=Repeats(deployment=derived("deployment", repeats)) if repeats else None,
        )  # fmt: skip
        await self.fact("deployment", id_, event)
        return id_

    def push(self, tag: str, digest: str) -> None:
        """And the engine has fetched it."""
        link = self.repository / "_manifests/tags" / tag / "current/link"
        link.parent.mkdir(parents=True)
        link.write_text(digest)
        self.engine.here.add(self.named(digest))

    @staticmethod
    def named(digest: str) -> str:
        return f"{ORGANIZATION}/{SERVICE}@{digest}"

    async def built(self, id_: str, digest: str) -> None:
        image = BuiltImage(reference=self.named(digest))
        workloads = (Built(name=MAIN, digest="x", image=image),)
        event = BuildSucceeded(**ABOUT, environment="e", workloads=workloads, sealed=SEALED)
        await self.fact("build", id_, event)

    async def deploy(self, name: str, live: bool = True, repeats: str | None = None) -> str:
        id_ = await self.ask(name, repeats)
        digest = f"sha256:{repeats or name}"
        if repeats is None:
            self.push(id_, digest)
        await self.built(id_, digest)
        failure = Failure(reason="r", detail="d", hint="h")
        end = DeploymentSucceeded(**ABOUT) if live else DeploymentFailed(**ABOUT, failure=failure)
        await self.fact("deployment", id_, end)
        return id_

    def there(self) -> set[str]:
        """Digests with a tag, without their kind."""
        links = self.repository.glob("_manifests/tags/*/current/link")
        return {link.read_text().partition(":")[2] for link in links}

    def on_engine(self) -> set[str]:
        return {name.partition("sha256:")[2] for name in self.engine.here}

    async def last(self) -> Commit:
        """Of a deployment."""
        return max(await self.world.heads(ORGANIZATION, "deployment"), key=lambda it: it.sequence)

    async def said(self) -> list[str]:
        """Whose images were swept, in that order."""
        commits = [commit async for commit in self.world.read()]
        return [each.subject.id for each in commits if isinstance(each.events[-1], BuildSwept)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def some(*names: int) -> set[str]:
    return {str(name) for name in names}


@virtual
async def test_after_fifty_deployments_the_last_ten_are_there(site: Site):
    await site.begin()
    async with site.sweeping() as sweep:
        for number in range(50):
            await site.deploy(f"{number}")
            sweep.wake(await site.last())
            await asyncio.sleep(5)
        await asyncio.sleep(GRACE + 10)
        assert site.there() == site.on_engine() == some(*range(40, 50))
        assert await site.said() == [derived("deployment", f"{number}") for number in range(40)]


@virtual
async def test_it_is_said_before_anything_goes(site: Site):
    await site.begin()
    for number in range(12):
        await site.deploy(f"{number}")
    async with site.sweeping():
        await asyncio.sleep(GRACE - 10)
        assert len(await site.said()) == 2
        assert site.there() == site.on_engine() == some(*range(12))
        await asyncio.sleep(20)
        assert site.there() == site.on_engine() == some(*range(2, 12))


@virtual
async def test_a_rollback_that_was_ordered_keeps_its_image(site: Site):
    await site.begin()
    for number in range(11):
        await site.deploy(f"{number}")
    async with site.sweeping() as sweep:
        await asyncio.sleep(5)
        assert await site.said() == [derived("deployment", "0")]
        asked = await site.ask("back", repeats="0")  # decided before that was said
        await asyncio.sleep(GRACE * 3)
        assert "0" in site.there() & site.on_engine()
        await site.built(asked, "sha256:0")
        await site.fact("deployment", asked, DeploymentSucceeded(**ABOUT))
        sweep.wake(await site.last())
        await asyncio.sleep(GRACE * 3)
        assert site.there() == site.on_engine() == some(0, *range(2, 11))


@virtual
async def test_failures_do_not_push_out_what_was_live(site: Site):
    await site.begin()
    site.kept = 3
    for number in range(4):
        await site.deploy(f"{number}")
    for number in range(4, 10):
        await site.deploy(f"{number}", live=False)
    async with site.sweeping():
        await asyncio.sleep(GRACE + 10)
    assert site.there() == site.on_engine() == some(1, 2, 3, 7, 8, 9)


@virtual
async def test_what_serves_and_what_is_pushed_stays(site: Site):
    """Whatever else is said: a failed build's image goes, that of one that still goes on stays."""
    await site.begin()
    serving = await site.deploy("0")
    image = BuiltImage(reference=site.named("sha256:0"))
    state = RolloutState(serving=release(serving, image=image))
    await site.fact("rollout", SERVICE, RolloutSucceeded(**ABOUT, deployment=serving, state=state))
    for number in range(1, 12):
        await site.deploy(f"{number}")
    going = await site.ask("going")
    site.push(going, "sha256:going")
    site.push(f"{going}-0123456789ab", "sha256:copied")
    failed = await site.ask("failed")
    site.push(failed, "sha256:failed")
    failure = Failure(reason="r", detail="d", hint="h")
    await site.fact("build", failed, BuildFailed(**ABOUT, environment="e", failure=failure))
    await site.fact("deployment", failed, DeploymentFailed(**ABOUT, failure=failure))
    async with site.sweeping():
        await asyncio.sleep(GRACE * 2)
    # The failed one is the last that ended; the oldest live ones but for it are still kept.
    assert site.there() == site.on_engine() == {"going", "copied", *some(0, *range(2, 12))}


@virtual
async def test_two_deployments_of_one_image_keep_it_until_both_have_left(site: Site):
    await site.begin()
    site.kept = 2
    await site.deploy("0")
    await site.deploy("1")
    await site.deploy("again", repeats="0")
    await site.deploy("2")
    async with site.sweeping() as sweep:
        await asyncio.sleep(GRACE * 2)
        assert site.there() == site.on_engine() == some(0, 2)
        await site.deploy("3")
        sweep.wake(await site.last())
        await asyncio.sleep(GRACE * 2)
        assert site.there() == site.on_engine() == some(2, 3)


@virtual
async def test_what_a_container_has_is_tried_again(site: Site):
    await site.begin()
    site.kept = 1
    await site.deploy("0")
    await site.deploy("1")
    site.engine.used = {site.named("sha256:0")}
    async with site.sweeping():
        await asyncio.sleep(GRACE * 2)
        assert (site.there(), site.on_engine()) == (some(1), some(0, 1))
        site.engine.used = set()
        await asyncio.sleep(GRACE)
        assert site.on_engine() == some(1)


@virtual
async def test_a_service_that_is_gone_leaves_nothing(site: Site):
    await site.begin()
    await site.deploy("0")
    others = site.repository.with_name("pushed-by-a-step")
    longer = site.repository / "longer"
    library = site.repository.parents[1] / "library/python/_manifests"
    for folder in (others, longer, library):
        folder.mkdir(parents=True)
    async with site.sweeping() as sweep:
        await asyncio.sleep(10)
        assert site.repository.exists()
        assert not others.exists()
        assert not longer.exists()
        await site.fact("service", SERVICE, ServiceDeleted(project="p", environment="e"))
        (gone,) = await site.world.heads(ORGANIZATION, "service")
        sweep.wake(gone)
        await asyncio.sleep(10)
    assert not site.repository.exists()
    assert site.on_engine() == set()
    assert library.exists()


@virtual
async def test_whoever_dies_in_between_goes_on_in_another_life(site: Site):
    await site.begin()
    for number in range(14):
        await site.deploy(f"{number}")
    for seconds in (*(step / 1000 for step in range(1, 60)), GRACE, GRACE):
        async with site.sweeping():
            await asyncio.sleep(seconds)
    async with site.sweeping():
        await asyncio.sleep(GRACE)
    assert site.there() == site.on_engine() == some(*range(4, 14))
    assert await site.said() == [derived("deployment", f"{number}") for number in range(4)]


@virtual
async def test_a_log_that_is_away_costs_no_image(site: Site):
    await site.begin()
    for number in range(12):
        await site.deploy(f"{number}")
    site.world.away = True
    async with site.sweeping():
        await asyncio.sleep(GRACE * 2)
        assert site.there() == site.on_engine() == some(*range(12))
        with pytest.raises(OutcomeUnknown):
            await site.world.heads(ORGANIZATION, "deployment")
        site.world.away = False
        await asyncio.sleep(GRACE * 3)
    assert site.there() == site.on_engine() == some(*range(2, 12))


def test_of_either_kind_none_leaves_before_an_older_one():
    ended = tuple(Ended(str(n), 100 - n, n in (2, 5, 6, 7)) for n in range(9))
    course = Course(ended)
    assert course.kept(2) == {"0", "1", "2", "5"}
    live, others = course.left(2)
    assert [each.deployment for each in live] == ["6", "7"]
    assert [each.deployment for each in others] == ["3", "4", "8"]


# -- collecting -----------------------------------------------------------------------------------


@virtual
async def test_nothing_is_collected_while_somebody_pushes(site: Site):
    async with site.sweeping():
        await asyncio.sleep(1)
        async with site.gate.passed():
            await asyncio.sleep(3600)
            assert site.collections == []
        await asyncio.sleep(61)
        assert site.collections == ["begun", "ended"]
        await asyncio.sleep(3600)
        assert site.collections == ["begun", "ended"], "there is nothing to collect"


@virtual
async def test_nothing_is_collected_while_the_library_is_filled(site: Site):
    """Which is done by a registry of its own on the same files."""
    mark = site.root / "library"
    mark.write_text("pushing\n")
    async with site.sweeping():
        await asyncio.sleep(1300)
        assert site.collections == []
        mark.write_text("done\n")
        await asyncio.sleep(61)
        assert site.collections == ["begun", "ended"]


@virtual
async def test_who_died_over_the_library_keeps_nobody(site: Site):
    mark = site.root / "library"
    mark.write_text("pushing\n")
    os.utime(mark, (0, time.time() - 601))
    async with site.sweeping():
        await asyncio.sleep(610)
        assert site.collections == ["begun", "ended"]


@virtual
async def test_nobody_pushes_while_is_collected(site: Site):
    site.seconds = 30
    async with site.sweeping():
        await asyncio.sleep(601)
        assert site.collections == ["begun"]
        async with site.gate.passed():
            assert site.collections == ["begun", "ended"]


@virtual
async def test_after_a_day_builds_wait_for_it_but_not_for_ever(site: Site):
    async def builds() -> None:
        """There is always one that goes on."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(build())
                await asyncio.sleep(50)

    longest = 0.0

    async def build() -> None:
        nonlocal longest
        asked = site.world.clock.monotonic()
        async with site.gate.passed():
            longest = max(longest, site.world.clock.monotonic() - asked)
            await asyncio.sleep(100)

    async with site.sweeping():
        going = asyncio.create_task(builds())
        await asyncio.sleep(86000)
        assert (site.collections, longest) == ([], 0.0)
        await asyncio.sleep(4000)
        assert site.collections == ["begun", "ended"]
        assert 0 < longest < 200
        going.cancel()
        with suppress(asyncio.CancelledError):
            await going


@pytest.mark.parametrize("lasts", [30, 1e5])
@virtual
async def test_a_collection_that_fails_goes_on_beside_no_push(site: Site, lasts: float):
    """What was begun in the registry's container outlives its client: the container begins anew."""
    site.seconds, site.code = lasts, 1
    async with site.sweeping():
        await asyncio.sleep(601)
        async with site.gate.passed():
            assert (site.anew, site.world.clock.monotonic()) == (1, 600 + min(lasts, 900))
        site.seconds, site.code = 1, 0
        await asyncio.sleep(1300)
    assert (site.anew, site.collections[-1]) == (1, "ended")


@virtual
async def test_a_collection_whose_builder_died_ends_before_anybody_pushes(site: Site):
    site.seconds = 30
    async with site.sweeping():
        await asyncio.sleep(610)
    assert (site.anew, site.collections) == (0, ["begun"])
    site.gate = Gate()
    passed = asyncio.create_task(_through(site.gate))
    await asyncio.sleep(60)
    assert not passed.done(), "it's closed until that is known"
    async with site.sweeping():
        await passed
    assert site.anew == 1


async def _through(gate: Gate) -> None:
    async with gate.passed():
        pass
