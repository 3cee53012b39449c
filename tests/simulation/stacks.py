"""Stacks by chance: one to four workloads, of which some write volumes or have a port of the host,
some wait for others, and one may be a job."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from slipway.contracts.values import After, BuiltImage, PublishedPort, VolumeMount
from slipway.contracts.workload import Workload

from tests.simulation.world import Behaviour

PROGRAMS = ("web", "worker", "db", "cache")
BEHAVIOURS = (
    *(Behaviour(),) * 14,
    Behaviour(boot=4.0),
    Behaviour(ends_after=0.3),
    Behaviour(boot=None, ends_after=0.2),
    Behaviour(boot=None),
    Behaviour(boot=None, answers="/ answered 500"),
    Behaviour(missing="No such image"),
)
JOBS = (
    *(Behaviour(ends_after=0.5, exit_code=0),) * 5,
    Behaviour(ends_after=6.0, exit_code=0),
    Behaviour(ends_after=0.5, exit_code=3),
    Behaviour(missing="No such image"),
    Behaviour(boot=None),
)


@dataclass
class Stacks:
    """`image` gives one of that name whose tasks behave so; `published`: the port of the host that
    a workload may have."""

    chance: Random
    image: Callable[[str, Behaviour], BuiltImage]
    published: int = 6379
    last: tuple[Workload, ...] = ()
    """The one that was made last: of it the next one may have some as they are."""

    def next(self, name: str) -> tuple[Workload, ...]:
        """`name` is new each time: the images of what is new are called by it."""
        before = {each.name: each for each in self.last}
        made: list[Workload] = []
        job = self.chance.choice((None, None, None, "first", "last"))
        if job == "first":
            made.append(self._job(name, made))
        for program in self.chance.sample(PROGRAMS, self.chance.randint(1, 3)):
            same = self.chance.random() < 0.5 and program in before
            found = before[program] if same else self._program(name, program)
            if not set(found.holds) & {thing for each in made for thing in each.holds}:
                made.append(found.model_copy(update={"after": self._after(made)}))
        if job == "last" or all(each.job for each in made):
            made = [each for each in made if not each.job] or [self._program(name, "web")]
            made.append(self._job(name, made))
        self.chance.shuffle(made)
        self.last = tuple(made)
        return self.last

    def _program(self, deployment: str, name: str) -> Workload:
        behaviour = replace(self.chance.choice(BEHAVIOURS), stop=self.chance.uniform(0.2, 8.0))
        mounts, ports = (), ()
        if name in ("db", "cache") and self.chance.random() < 0.8:
            mounts = (VolumeMount(name=self.chance.choice("ab"), path="/data"),)
        if name == "cache" and self.chance.random() < 0.3:
            ports = (PublishedPort(port=6379, published=self.published),)
        return Workload(
            name=name, aliases=(name,), mounts=mounts, ports=ports,
            image=self.image(f"{deployment}/{name}", behaviour),
            port=8080 if name == "web" else None,
            replicas=2 if name == "worker" and self.chance.random() < 0.3 else 1,
        )  # fmt: skip

    def _job(self, deployment: str, others: list[Workload]) -> Workload:
        behaviour = replace(self.chance.choice(JOBS), stop=self.chance.uniform(0.2, 8.0))
        volume = VolumeMount(name=self.chance.choice("ab"), path="/data")
        taken = {thing for each in others for thing in each.holds}
        free = f"volume:{volume.name}" not in taken and self.chance.random() < 0.5
        return Workload(
            name="migrate", job=True, mounts=(volume,) if free else (), after=self._after(others),
            image=self.image(f"{deployment}/migrate", behaviour),
        )  # fmt: skip

    def _after(self, others: list[Workload]) -> tuple[After, ...]:
        """Jobs are waited for until they have completed, the others until they have begun."""
        some = [each for each in others if self.chance.random() < 0.4]
        conditions: tuple[Literal["started", "healthy"], ...] = ("started", "healthy")
        return tuple(
            After(
                workload=each.name,
                condition="completed" if each.job else self.chance.choice(conditions),
            )
            for each in some
        )
