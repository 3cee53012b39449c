"""Releases of several workloads, played against a small model of the engine: whatever they need and
whatever goes wrong, a deployment has one end, nobody writes what another still writes, no job runs
twice, and what served before serves again.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from deployer.rollout import domain
from deployer.rollout.bringing import replicas_of
from deployer.rollout.domain import SwarmServiceView, TaskView, View
from deployer.rollout.plan import next_step
from deployer.rollout.step import (
    Create,
    Drop,
    End,
    NoteJobEnded,
    NoteScaled,
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
from slipway.contracts.rollout import Job, Pending, Release, Released, RolloutState
from slipway.contracts.route import RouteState, Served
from slipway.contracts.values import After
from slipway.testing.releases import IMAGE, SEALED

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(seconds=1)
BOOT, STOP, UNTOLD = 2, 3, 2
"""Ticks that a task takes to run, to end, and until Swarm tells it to."""


@dataclass
class Task:
    id: str
    age: int = 0
    number: int = 0
    """How many of its workload are listed that were made before it."""
    ending: int | None = None
    over: bool = False
    exit: int | None = None


@dataclass
class Swarm:
    """`faults`: Swarm service → what its tasks do: `never` run, `end` at once, `die` when they have
    run for two ticks, `late`: as `die`, and from the third on they run."""

    faults: dict[str, str] = field(default_factory=dict)
    workloads: dict[str, Released] = field(default_factory=dict)
    replicas: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, list[Task]] = field(default_factory=dict)
    lingering: list[tuple[frozenset[str], list[Task]]] = field(default_factory=list)
    """Of jobs that were removed while they ran."""
    made: int = 0
    now: datetime = BEGAN
    job_tasks: Counter[str] = field(default_factory=Counter)

    def create(self, workload: Released, replicas: int) -> None:
        name = workload.swarm_service
        assert name not in self.replicas
        self.workloads[name], self.replicas[name], self.tasks[name] = workload, replicas, []
        self.fill()

    def fill(self) -> None:
        for name, wanted in self.replicas.items():
            living = [task for task in self.tasks[name] if not task.over and task.ending is None]
            job = self.workloads[name].job
            if job and self.tasks[name]:
                continue
            for _ in range(wanted - len(living)):
                self.made += 1
                self.job_tasks[name] += job
                number = len(self.tasks[name])
                self.tasks[name].append(Task(f"t{self.made}", number=number))
            for task in living[wanted:]:
                task.ending = STOP + UNTOLD

    def scale(self, name: str, replicas: int) -> None:
        assert not self.workloads[name].job, "a job is not scaled"
        self.replicas[name] = replicas
        self.fill()

    def stop(self, container: str) -> None:
        (task,) = [task for of in self.tasks.values() for task in of if task.id == container]
        assert task.ending is not None, "Swarm would start another one"
        task.ending = min(task.ending, STOP)

    def remove(self, name: str) -> None:
        held, job = self.workloads[name].holds, self.workloads[name].job
        assert job or not (held and self.alive(name)), "what holds something ends before it goes"
        left = [task for task in self.tasks[name] if not task.over]
        for task in left:
            task.ending = STOP
        self.lingering.append((frozenset(held), left))
        for of in (self.workloads, self.replicas, self.tasks):
            of.pop(name)

    def alive(self, name: str) -> bool:
        return any(not task.over for task in self.tasks[name])

    def held(self) -> frozenset[str]:
        """By what is gone, or is to have no tasks."""
        gone = [held for held, tasks in self.lingering if tasks]
        stopped = [
            frozenset(workload.holds)
            for name, workload in self.workloads.items()
            if self.replicas[name] == 0 and self.alive(name)
        ]
        return frozenset[str]().union(*gone, *stopped)

    def tick(self) -> None:
        self.now += TICK
        for _, tasks in self.lingering:
            for task in tasks:
                task.ending = (task.ending or 1) - 1
            tasks[:] = [task for task in tasks if task.ending]
        for name, tasks in self.tasks.items():
            fault, job = self.faults.get(name), self.workloads[name].job
            for task in tasks:
                task.age += 1
                if task.over:
                    continue
                if task.ending is not None:
                    task.ending -= 1
                    task.over = task.ending <= 0
                elif task.age >= BOOT and fault != "never" and (fault == "end" or job):
                    task.over, task.exit = True, 1 if fault == "end" else 0
                elif task.age >= BOOT + 2 and dies(fault, task):
                    task.over, task.exit = True, 1
            self.tasks[name] = [
                task for task in tasks if not (task.over and task.exit is None)
            ]  # one that was scaled away is not listed any more
        self.fill()

    def view(self, *, looked: bool) -> dict[str, SwarmServiceView]:
        return {
            name: SwarmServiceView(
                f"id-{name}", name, workload.name, self.replicas[name], 1,
                tuple(self._task(name, task) for task in self.tasks[name]) if looked else (),
                frozenset(workload.holds), looked, workload.job, updated=self.now,
            )
            for name, workload in self.workloads.items()
        }  # fmt: skip

    def _task(self, name: str, task: Task) -> TaskView:
        if task.over:
            return TaskView(task.id, "ended", exit_code=task.exit, over=True)
        if task.ending is not None:
            return TaskView(task.id, "stopping", "10.0.0.1", container=task.id)
        runs = (
            task.age >= BOOT and self.faults.get(name) != "never" and not self.workloads[name].job
        )
        if not runs:
            return TaskView(task.id, "starting", "10.0.0.1")
        since = self.now - (task.age - BOOT) * TICK
        return TaskView(task.id, "running", "10.0.0.1", since=since)


def dies(fault: str | None, task: Task) -> bool:
    return fault == "die" or (fault == "late" and task.number < 2)


@dataclass
class Game:
    """The log of one service, the engine, and a proxy that confirms what is ready."""

    chance: Random
    releases: dict[str, Release]
    swarm: Swarm = field(default_factory=Swarm)
    state: RolloutState = field(default_factory=RolloutState)
    route: RouteState = field(default_factory=RouteState)
    replicas: dict[str, int] = field(default_factory=dict)
    now: datetime = BEGAN
    stops: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    ends: list[tuple[str, str]] = field(default_factory=list)
    formers: list[str] = field(default_factory=list)
    deaths: float = 0.0

    def view(self) -> View:
        looked = self.chance.random() > self.deaths
        return View(
            self.now, self.state, there=self.swarm.view(looked=looked), replicas=self.replicas,
            lingering=self.swarm.held(), told=frozenset(self.told),
            stops=frozenset(self.stops), route=self.route,
            route_event="route.activated" if self.route.deployment else "",
        )  # fmt: skip

    def queue(self, release: Release) -> None:
        pending = Pending(deployment=release.deployment, sequence=release.sequence)
        after = domain.queued(self.state, pending, "env")
        assert after is not None
        self.state = after

    def perform(self, step: RolloutStep) -> bool:
        """Whether something was done."""
        state = self.state
        match step:
            case Start(pending):
                release = carried(self.releases[pending.deployment], state.serving)
                self.state = domain.started(
                    state, pending, release, (self.now + 60 * TICK).isoformat()
                )
            case Drop(pending):
                self.state = domain.dropped(state, pending)
                self.ends.append((pending.deployment, "dropped"))
            case Create(_, workload, replicas):
                self.swarm.create(workload, replicas)
            case StartJob(_, workload):
                self.state = domain.job_started(state, workload.name)
                if self.chance.random() >= self.deaths:
                    self.swarm.create(workload, 1)
            case NoteJobEnded(workload, code):
                self.state = domain.job_ended(state, workload.name, code)
            case Ready(tasks):
                at, deadline = self.now.isoformat(), (self.now + 60 * TICK).isoformat()
                self.state = domain.ready(state, tasks, at, deadline)
            case Succeed():
                assert state.wanted is not None
                self.ends.append((state.wanted.deployment, "succeeded"))
                scaled = {
                    each.name: replicas_of(self.view(), each) for each in state.wanted.programs
                }
                self.state = domain.succeeded(state, scaled)
            case Revert(reverting):
                self.state = domain.undone(state, reverting)
            case End(reverting, former):
                assert state.wanted is not None
                self.ends.append((state.wanted.deployment, reverting.outcome))
                self.formers.append(former)
                self.state = domain.given_up(state)
            case Remove(there):
                self.swarm.remove(there.name)
            case Scale(there, replicas):
                self.swarm.scale(there.name, replicas)
            case Stop(container):
                assert container not in self.told
                self.told.append(container)
                self.swarm.stop(container)
            case NoteWaiting(waiting):
                self.state = state.model_copy(update={"waiting": waiting})
            case NoteScaled(replicas):
                self.state = state.model_copy(update={"replicas": replicas})
            case Wait() | Rest():
                return False
            case other:
                raise AssertionError(f"{other} is not expected here")
        return True

    def tick(self) -> None:
        self.now += TICK
        self.swarm.tick()
        self.switch()
        self.judge()

    def switch(self) -> None:
        """The proxy: what is ready is routed, what is given up is left again."""
        wanted, serving = self.state.wanted, self.state.serving
        if wanted is not None and self.state.ready and self.chance.random() < 0.5:
            self.route = routed(wanted)
        elif serving is not None and (wanted is None or self.state.reverting is not None):
            self.route = routed(serving)
        elif serving is None and wanted is None:
            self.route = RouteState()

    def judge(self) -> None:
        held: Counter[str] = Counter()
        for things, tasks in self.swarm.lingering:
            held.update(things if tasks else ())
        for name, workload in self.swarm.workloads.items():
            for task in self.swarm.tasks[name]:
                held.update(() if task.over else workload.holds)
        assert all(count == 1 for count in held.values()), "two have one thing"
        assert all(count <= 1 for count in self.swarm.job_tasks.values()), "a job ran twice"

    def play(self, ticks: int) -> None:
        for _ in range(ticks):
            for _ in range(200):
                if not self.perform(next_step(self.view())):
                    break
                self.judge()
            else:
                raise AssertionError("it goes on and on at one moment")
            self.tick()

    def serves(self) -> bool:
        """All that serves runs, and nothing else is there."""
        serving = self.state.serving
        names = {each.swarm_service for each in serving.programs} if serving else set()
        return self.swarm.workloads.keys() == names and all(
            self.swarm.replicas[each.swarm_service] == replicas_of(self.view(), each)
            and self.swarm.alive(each.swarm_service)
            for each in (serving.programs if serving else ())
        )


def carried(release: Release, serving: Release | None) -> Release:
    former = {each.name: each for each in serving.workloads} if serving else {}

    def one(each: Released) -> Released:
        found = former.get(each.name)
        if found is None or each.job or found.digest != each.digest:
            return each
        return each.model_copy(update={"carried": True, "swarm_service": found.swarm_service})

    return release.model_copy(update={"workloads": tuple(map(one, release.workloads))})


def routed(release: Release) -> RouteState:
    served = tuple(
        Served(workload=each.name, swarm_service=each.swarm_service) for each in release.programs
    )
    return RouteState(
        deployment=release.deployment, attempt=1, served=served,
        named=tuple(each.swarm_service for each in served),
    )  # fmt: skip


def workload(deployment: str, name: str, digest: str = "", **more: object) -> Released:
    values = {"image": IMAGE, "digest": digest or deployment, "settle_seconds": 0.0, **more}
    return Released.model_validate(
        {"name": name, "swarm_service": f"{name}-{deployment}", **values}
    )


def release(deployment: str, *workloads: Released) -> Release:
    return Release(
        deployment=deployment, sequence=int(deployment[1:]), workloads=workloads, sealed=SEALED
    )


def stack(deployment: str, db: str = "same") -> Release:
    """Web, worker, database, and a migration between."""
    healthy = After(workload="db", condition="healthy")
    migrated = After(workload="migrate", condition="completed")
    return release(
        deployment,
        workload(deployment, "web", after=(migrated,)),
        workload(deployment, "worker", "same", after=(migrated,)),
        workload(deployment, "db", db, holds=("volume:data",)),
        workload(deployment, "migrate", job=True, after=(healthy,)),
    )


def game(*releases: Release, seed: int = 1, **more: object) -> Game:
    found = Game(Random(seed), {each.deployment: each for each in releases})
    return replace(found, **more)


def deployed(first: Release, *others: Release, seed: int = 1) -> Game:
    playing = game(first, *others, seed=seed)
    playing.queue(first)
    playing.play(40)
    assert playing.ends == [(first.deployment, "succeeded")]
    assert playing.serves()
    return playing


def test_a_first_release_comes_up_in_order():
    playing = game(stack("d1"))
    playing.queue(stack("d1"))
    playing.play(BOOT)
    assert set(playing.swarm.workloads) == {"db-d1"}, "the rest waits for the database"
    playing.play(BOOT - 1)
    assert set(playing.swarm.workloads) == {"db-d1", "migrate-d1"}
    playing.play(40)
    assert playing.ends == [("d1", "succeeded")]
    assert playing.serves()
    assert "migrate-d1" not in playing.swarm.workloads, "a job goes when its end is known"


def test_what_is_the_same_goes_on_and_is_not_touched():
    playing = deployed(stack("d1"), stack("d2"))
    before = {name: list(tasks) for name, tasks in playing.swarm.tasks.items()}
    playing.queue(stack("d2"))
    playing.play(40)
    assert playing.ends[1:] == [("d2", "succeeded")]
    assert set(playing.swarm.workloads) == {"web-d2", "worker-d1", "db-d1"}
    for name in ("worker-d1", "db-d1"):
        assert [t.id for t in playing.swarm.tasks[name]] == [t.id for t in before[name]]


def test_who_writes_a_volume_is_stopped_before_another_does():
    playing = deployed(stack("d1"), stack("d2", db="other"))
    playing.queue(stack("d2", db="other"))
    playing.play(60)
    assert playing.ends[1:] == [("d2", "succeeded")]
    assert playing.serves()


@pytest.mark.parametrize("fault", ["never", "end"])
def test_a_database_that_fails_gives_way_to_the_former(fault: str):
    playing = deployed(stack("d1"), stack("d2", db="other"))
    playing.swarm.faults["db-d2"] = fault
    playing.queue(stack("d2", db="other"))
    playing.play(200)
    assert playing.ends[1:] == [("d2", "failed")]
    assert playing.formers == ["running"]
    assert playing.serves()


SETTLES = 5.0


def pair(deployment: str, **more: object) -> Release:
    """Two, of which nothing can be asked."""
    calm = {"settle_seconds": SETTLES, **more}
    return release(
        deployment, workload(deployment, "a", **calm), workload(deployment, "b", **calm)
    )  # fmt: skip


def test_what_can_be_asked_nothing_is_ready_when_it_has_run_for_a_while():
    playing = game(pair("d1"))
    playing.queue(pair("d1"))
    playing.play(BOOT + int(SETTLES))
    assert not playing.state.ready
    playing.play(1)
    assert playing.state.ready


def test_what_has_a_port_is_asked_and_ready_as_soon_as_it_accepts():
    playing = game(pair("d1", port=80))
    playing.queue(pair("d1", port=80))
    playing.play(BOOT + 1)
    assert playing.state.ready


@pytest.mark.parametrize(("fault", "end"), [("die", "failed"), ("late", "succeeded")])
def test_the_third_end_of_a_workload_fails_a_release_and_no_earlier_one(fault: str, end: str):
    """Each of its tasks runs for a moment: that makes none of them ready."""
    playing = game(pair("d1"))
    playing.swarm.faults["a-d1"] = fault
    playing.queue(pair("d1"))
    playing.play(50)
    assert playing.ends == [("d1", end)]
    assert len(playing.swarm.tasks.get("a-d1", ())) == (3 if end == "succeeded" else 0)


def test_what_starts_after_a_healthy_one_waits_until_that_is_ready():
    def behind(condition: str) -> Release:
        after = After.model_validate({"workload": "a", "condition": condition})
        b = workload("d1", "b", after=(after,))
        return release("d1", workload("d1", "a", settle_seconds=SETTLES), b)

    for condition, ticks in (("started", BOOT), ("healthy", BOOT + int(SETTLES))):
        playing = game(behind(condition))
        playing.queue(behind(condition))
        playing.play(ticks)
        assert "b-d1" not in playing.swarm.workloads, condition
        playing.play(1)
        assert "b-d1" in playing.swarm.workloads, condition


def test_a_job_that_fails_fails_the_release_and_what_it_did_stays():
    playing = deployed(stack("d1"), stack("d2"))
    playing.swarm.faults["migrate-d2"] = "end"
    playing.queue(stack("d2"))
    playing.play(60)
    assert playing.ends[1:] == [("d2", "failed")]
    assert playing.swarm.job_tasks["migrate-d2"] == 1
    assert playing.serves()


def failure_of(playing: Game) -> str:
    while not isinstance(step := next_step(playing.view()), Revert):
        playing.play(1)
    assert step.reverting.failure is not None
    return step.reverting.failure.detail


def test_a_job_that_does_not_end_in_time_is_named():
    playing = deployed(stack("d1"), stack("d2"))
    playing.swarm.faults["migrate-d2"] = "never"
    playing.queue(stack("d2"))
    assert failure_of(playing).startswith("migrate: the job had not ended")


def test_so_is_what_the_former_did_not_give_free_in_time():
    playing = deployed(stack("d1"), stack("d2", db="other"))
    playing.queue(stack("d2", db="other"))
    playing.play(1)
    (former,) = playing.swarm.tasks["db-d1"]
    former.ending = 1000
    assert failure_of(playing).startswith("db: what had the volume data had not ended")


def test_a_job_waits_until_one_of_a_release_that_was_given_up_has_ended():
    """Or two migrations would run at once."""
    stacks = [
        release(each, workload(each, "web", each, after=(After(
            workload="migrate", condition="completed"),)),
            workload(each, "migrate", job=True, holds=("jobs",)))
        for each in ("d1", "d2", "d3")
    ]  # fmt: skip
    playing = deployed(*stacks)
    playing.swarm.faults["migrate-d2"] = "never"
    playing.queue(stacks[1])
    playing.play(4)
    playing.stops.add("d2")
    playing.queue(stacks[2])
    playing.play(60)
    assert playing.ends[1:] == [("d2", "cancelled"), ("d3", "succeeded")]


@pytest.mark.parametrize("after", range(11))
def test_a_cancel_at_any_moment_is_undone_in_two_steps(after: int):
    playing = deployed(stack("d1"), stack("d2", db="other"))
    playing.queue(stack("d2", db="other"))
    playing.play(after)
    assert not playing.ends[1:]
    playing.stops.add("d2")
    step = next_step(playing.view())
    assert isinstance(step, Revert | Start | Drop | Succeed)
    playing.play(80)
    assert playing.ends[1:] in ([("d2", "cancelled")], [("d2", "dropped")], [("d2", "succeeded")])
    assert playing.serves()


def test_a_former_that_still_ends_is_not_started_beside_itself():
    """It was stopped for the sake of a release that is cancelled before the former has ended."""
    playing = deployed(stack("d1"), stack("d2", db="other"))
    playing.queue(stack("d2", db="other"))
    while playing.swarm.replicas["db-d1"] > 0:
        playing.perform(next_step(playing.view()))
    playing.stops.add("d2")
    playing.play(60)
    assert playing.ends[1:] == [("d2", "cancelled")]
    assert playing.formers == ["running"]
    assert playing.serves()


def test_a_former_that_hands_remove_while_it_stands_still_is_made_again():
    playing = deployed(stack("d1"), stack("d2", db="other"))
    playing.swarm.faults["db-d2"] = "never"
    playing.queue(stack("d2", db="other"))
    while playing.swarm.replicas["db-d1"] > 0 or playing.swarm.alive("db-d1"):
        playing.play(1)
    playing.swarm.remove("db-d1")
    playing.play(200)
    assert playing.ends[1:] == [("d2", "failed")]
    assert playing.formers == ["running"]
    assert playing.serves()


def test_a_former_that_was_stopped_stays_so_when_its_start_fails():
    """Also what the start had to free the volume of: that did not run before either."""
    new = (workload("d2", "web"), workload("d2", "db", holds=("volume:data",)))
    playing = deployed(stack("d1"), release("d2", *new))
    stopped = set(playing.swarm.workloads)
    for name in stopped:
        playing.swarm.scale(name, 0)
    playing.state = playing.state.model_copy(update={"stopped": True})
    playing.play(2 * STOP)
    playing.swarm.faults["db-d2"] = "end"
    playing.queue(release("d2", *new))
    playing.play(200)
    assert playing.ends[1:] == [("d2", "failed")]
    assert playing.formers == ["not_running"]
    assert playing.swarm.replicas == dict.fromkeys(stopped, 0)


def test_a_former_that_does_not_come_back_is_said():
    playing = deployed(stack("d1"), stack("d2", db="other"))
    playing.queue(stack("d2", db="other"))
    while "db-d1" not in {n for n, r in playing.swarm.replicas.items() if r == 0}:
        playing.play(1)
    playing.swarm.faults |= {"db-d1": "never", "db-d2": "end"}
    playing.play(400)
    assert playing.ends[1:] == [("d2", "failed")]
    assert playing.formers == ["not_running"]


def test_a_job_that_cant_be_placed_has_failed():
    """Nothing more would come of it until the time is over."""
    job = workload("d1", "migrate", job=True)
    wanted = release("d1", job, workload("d1", "web"))
    state = RolloutState(wanted=wanted, jobs=(Job(workload="migrate"),), highest=1)
    refused = TaskView("t1", "refused", error="network is not there", over=True)
    there = SwarmServiceView(
        "id", "migrate-d1", "migrate", 1, 1, (refused,), looked=True, job=True
    )  # fmt: skip
    step = next_step(View(BEGAN, state, there={there.name: there}))
    assert isinstance(step, Revert)
    assert step.reverting.failure is not None
    assert "network is not there" in step.reverting.failure.detail


def random_release(chance: Random, number: int) -> Release:
    deployment = f"d{number}"
    names = [f"w{index}" for index in range(chance.randint(1, 4))]
    made: list[Released] = []
    for index, name in enumerate(names):
        job = index > 0 and chance.random() < 0.25
        others = [(each.name, each.job) for each in made if chance.random() < 0.4]
        after = tuple(
            After(workload=other, condition="completed" if of_job else "started")
            for other, of_job in others
        )
        holds = tuple(f"volume:{chance.choice('ab')}" for _ in range(chance.random() < 0.4))
        held = {thing for each in made for thing in each.holds}
        holds = () if set(holds) & held else holds
        digest = f"{chance.choice(['same', deployment])}{holds}"
        made.append(
            workload(
                deployment, name, digest, job=job, after=after, holds=holds,
                settle_seconds=chance.choice((0.0, 0.0, 1.0, 4.0)),
            )
        )  # fmt: skip
    chance.shuffle(made)
    return release(deployment, *made)


@pytest.mark.parametrize("seed", range(60))
def test_days_of_stacks(seed: int):
    """Thirty deployments each, some of which fail, are cancelled, or meet a process that dies
    between a job's fact and the job, or looks before it has seen any task."""
    chance = Random(seed)
    playing = Game(chance, {}, deaths=0.05)
    for number in range(1, 31):
        wanted = random_release(chance, number)
        playing.releases[wanted.deployment] = wanted
        for each in wanted.workloads:
            if chance.random() < 0.12:
                fault = chance.choice(["never", "end", "die", "late"])
                playing.swarm.faults[each.swarm_service] = fault
        playing.queue(wanted)
        playing.play(chance.randint(0, 25))
        if chance.random() < 0.2:
            playing.stops.add(wanted.deployment)
    playing.deaths = 0.0
    playing.play(400)
    ends = Counter(deployment for deployment, _ in playing.ends)
    assert ends == Counter({f"d{number}": 1 for number in range(1, 31)})
    assert playing.state.wanted is None
    assert playing.serves() or any(
        fault for name, fault in playing.swarm.faults.items() if name in playing.swarm.workloads
    )
