"""A world for services in one event loop: virtual time, an event store that forgets as JetStream
does, a Swarm in memory that speaks the engine's API, and processes that die where they are told.
"""

import asyncio
import functools
import itertools
import json
import selectors
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import structlog
from slipway.contracts import labels
from slipway.contracts.event import Event
from slipway.eventstore.memory import MemoryObjects, MemoryStore
from slipway.eventstore.store import Commit, OutcomeUnknown
from slipway.kernel.envelope import Head, Meta, Subject

from tests.simulation.deliveries import Deliveries

structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()]
)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
INSTANCE, NODE = "sim", "node1"
REGISTRY_PORT = 5000
REGISTRY = f"127.0.0.1:{REGISTRY_PORT}"
_BUSY = 200_000


class Standstill(Exception):
    """Everything waits for what nothing will bring, or turns for ever without time passing."""


# -- time -----------------------------------------------------------------------------------------


class _Selector(selectors.DefaultSelector):
    """Instead of waiting it lets the loop's time pass."""

    loop: "VirtualLoop"
    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            self.turns += 1
            if self.turns > _BUSY:
                raise Standstill("the loop turns without time passing")
            return ready
        self.turns = 0
        if timeout is None:
            raise Standstill("everything waits for ever")
        self.loop.passed += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only when all are waiting, and then at once to the next thing that is due."""

    def __init__(self) -> None:
        self.passed = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.set_task_factory(_task)

    def time(self) -> float:
        return self.passed

    def run_in_executor(
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """At once, and here: what a thread does takes no time that others could pass in."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def _task[T](
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], *,
    context: Context | None = None, **more: Any,
) -> asyncio.Task[T]:  # fmt: skip
    """What a process begins is of its life."""
    life = context.get(LIFE) if context is not None else LIFE.get()
    steps = coro if life is None else _Steps(coro, life)
    return asyncio.Task(steps, loop=loop, context=context, **more)


class VirtualClock:
    """The loop's time as a clock; to sleep is to advance it."""

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def virtual[**P](test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """The test runs in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


# -- the log --------------------------------------------------------------------------------------


class World(MemoryStore):
    """The log. A repeat of a commit is known above what the caller said to know, and for two
    minutes; later and below that it is a new commit, as with JetStream. Every call takes `latency`
    seconds, or as many as `chance` says; then deliveries come late, twice and in another order
    too, and some appends of services are not answered."""

    REMEMBERED = timedelta(minutes=2)

    def __init__(self, latency: float = 0.001, chance: Random | None = None) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.workloads = MemoryObjects()
        """Those of each deployment, sealed, beside the log."""
        self.job_logs = MemoryObjects()
        self.latency = latency
        self.away = False
        """No read of the log is answered."""
        self.read_calls: Counter[str] = Counter()
        """How often each way of reading was used."""
        self.messages_read: Counter[str] = Counter()
        """How many commits were read, by category."""
        self._chance = chance

    async def _wait(self) -> None:
        await asyncio.sleep(self._chance.expovariate(50) if self._chance else self.latency)

    async def append(
        self,
        subject: Subject,
        expected: Head,
        events: Sequence[Event],
        meta: Meta,
        *,
        since: int = 0,
    ) -> Commit:
        await self._wait()
        return await super().append(subject, expected, events, meta, since=since)

    def forgotten(self, commit: Commit, expected: Head, since: int) -> bool:
        seen = commit.sequence > min(since, expected.sequence)
        return not seen and self.clock.now() - commit.meta.at > self.REMEMBERED

    def reaction(self, durable: str) -> Any:
        if self._chance is None:
            return super().reaction(durable)
        return Deliveries.of(self, durable, self._acknowledged, self._chance)

    def unanswered(self) -> str:
        """Whether an append of a service is answered: `before` and `after` it was stored it may
        not be."""
        if self._chance is None or self._chance.random() > 0.01:
            return ""
        return self._chance.choice(("before", "after"))

    def _asked(self, how: str) -> None:
        self.read_calls[how] += 1
        if self.away:
            raise OutcomeUnknown("the log is away")

    async def load(self, subject: Subject, after: int = 0) -> list[Commit]:
        await self._wait()
        self._asked("load")
        found = await super().load(subject, after)
        self.messages_read[subject.category] += len(found)
        return found

    async def head(self, subject: Subject) -> Commit | None:
        await self._wait()
        self._asked("head")
        found = await super().load(subject)
        return found[-1] if found else None

    async def heads(self, organization: str, category: str) -> list[Commit]:
        await self._wait()
        self._asked("heads")
        return await super().heads(organization, category)

    async def last_sequence(self) -> int:
        self._asked("last_sequence")
        return await super().last_sequence()

    def events(self, category: str, id_: str) -> list[Event]:
        """All events of an aggregate so far."""
        return [
            event
            for commit in self._log
            if (commit.subject.category, commit.subject.id) == (category, id_)
            for event in commit.events
        ]

    async def until(self, what: Callable[[], object], seconds: float = 60) -> None:
        """Let time pass until it is so."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while not what():
            assert self.clock.now() < end, f"not in {seconds} s"
            await asyncio.sleep(0.05)


# -- processes ------------------------------------------------------------------------------------


class Life:
    """One life of a process. Its effects pass through `effect`, and at the point number `dies_at`
    (each effect has one before and one after it), or after so many `steps` of its tasks from one
    await to the next, it is gone: nothing of it goes on."""

    def __init__(self, dies_at: int | None = None, steps: int | None = None) -> None:
        self.points: list[str] = []
        self.died = asyncio.Event()
        self.context = copy_context()
        """That of its tasks."""
        self.context.run(LIFE.set, self)
        self._dies_at, self._steps = dies_at, steps

    async def point(self, name: str) -> None:
        if self.died.is_set():
            raise asyncio.CancelledError
        self.points.append(name)
        if len(self.points) == self._dies_at:
            self.died.set()
            await asyncio.Event().wait()

    async def effect[T](self, name: str, doing: Callable[[], Awaitable[T]]) -> T:
        await self.point(f"before {name}")
        result = await doing()
        await self.point(f"after {name}")
        return result

    def goes_on(self) -> bool:
        """Asked before each step of a task of it."""
        if self._steps is not None:
            self._steps -= 1
            if self._steps == 0:
                self.died.set()
        return not self.died.is_set()

    async def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Until it dies, or is cancelled."""
        process = asyncio.create_task(main, context=self.context)
        death = asyncio.create_task(self.died.wait())
        try:
            await asyncio.wait([process, death], return_when=asyncio.FIRST_COMPLETED)
            if process.done() and not self.died.is_set():
                process.result()
        finally:
            self.died.set()
            for task in (process, death):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)
"""That of the process which a task is of."""


class _Steps[T](Coroutine[Any, Any, T]):
    """A task of a life: its every step is one of that life. Once that is over it is cancelled
    wherever it is, and what it still does to leave is without effect."""

    def __init__(self, coro: Coroutine[Any, Any, T], life: Life) -> None:
        self._coro, self._life = coro, life

    def send(self, value: Any) -> Any:
        if self._life.goes_on():
            return self._coro.send(value)
        return self._coro.throw(asyncio.CancelledError())

    def throw(self, *error: Any) -> Any:
        self._life.goes_on()
        return self._coro.throw(*error)

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coro.__await__()


class Seen:
    """The log as one process reaches it: each append is an effect of its life, and may be one that
    is not answered."""

    def __init__(self, store: World, life: Life) -> None:
        self._store, self._life = store, life
        self.load, self.head, self.heads = store.load, store.head, store.heads
        self.at, self.last_sequence = store.at, store.last_sequence
        self.read, self.batches = store.read, store.batches
        self.follow, self.reaction = store.follow, store.reaction

    async def append(
        self,
        subject: Subject,
        expected: Head,
        events: Sequence[Event],
        meta: Meta,
        *,
        since: int = 0,
    ) -> Commit:
        async def append() -> Commit:
            if (unanswered := self._store.unanswered()) == "before":
                raise OutcomeUnknown(meta.commit)
            commit = await self._store.append(subject, expected, events, meta, since=since)
            if unanswered:
                raise OutcomeUnknown(meta.commit)
            return commit

        return await self._life.effect(events[-1].type, append)


# -- the engine -----------------------------------------------------------------------------------


class Away(Exception):
    """The engine does not answer."""


class Refuses(Exception):
    """The engine's words."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the tasks of an image behave: seconds until they run (None: never), what they answer to
    their health check meanwhile and after how many seconds the swarm ends them for it, and when and
    how they end by themselves. `stop`: seconds that they take to end when they are told to.
    `missing`: the error of a task that can't be started; `nowhere`: that of one which no node
    takes; `refused`: the engine takes no service of it."""

    boot: float | None = 0.5
    answers: str = ""
    unhealthy_after: float | None = None
    ends_after: float | None = None
    exit_code: int = 1
    stop: float = 2.0
    missing: str = ""
    nowhere: str = ""
    refused: str = ""


SIGNAL_AFTER, SAID_AFTER = 1.0, 0.8
"""Seconds from a scale until Swarm tells what is too much to end, and from the end of that until
it says so."""


class Swarm:
    """Services, tasks, networks and images, by the paths and shapes of the engine's API. What is
    made stays through every process's death."""

    def __init__(self, latency: float = 0.002) -> None:
        self.latency = latency
        self.away = False
        self.services: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.networks: dict[str, dict[str, Any]] = {}
        self.joined: set[str] = set()
        """The networks that the proxy's container is in."""
        self.secrets: dict[str, dict[str, Any]] = {}
        self.images: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.containers: dict[str, dict[str, Any]] = {}
        """Task → specification of its container, from its start to its end; also while it goes on
        after its service was removed."""
        self.exited: dict[str, dict[str, Any]] = {}
        """As `containers`, those that have ended, until Swarm removes their task."""
        self.met: list[str] = []
        """What two containers had at once: a volume, a port of the host."""
        self.job_runs: Counter[str] = Counter()
        """How many containers each job had, by its service's name."""
        self.behaviours: dict[str, Behaviour] = {}
        """By image."""
        self.on_remove: Callable[[str], None] = lambda _: None
        """Called with the name of a service that a process removes."""
        self._numbers = itertools.count(1)
        self._watching: dict[asyncio.Queue[dict[str, str]], None] = {}
        self.printed = ["the last words"]
        """What every container has printed."""
        self.asked: Counter[str] = Counter()
        """How often each path was asked for."""

    def _new(self, kind: str) -> str:
        return f"{kind}{next(self._numbers)}"

    # - what happens by itself

    def _start(self, service: dict[str, Any]) -> None:
        spec = service["Spec"]["TaskTemplate"]
        network = self.networks.get(spec["Networks"][0]["Target"])
        number = next(self._numbers)
        task: dict[str, Any] = {
            "ID": f"task{number}",
            "ServiceID": service["ID"],
            "CreatedAt": f"{number:09}",
            "DesiredState": "complete" if "ReplicatedJob" in service["Spec"]["Mode"] else "running",
            "Spec": spec,
            "Status": {"State": "preparing"},
            "NetworksAttachments": [],
            "StreakAt": None,
        }
        self.tasks[task["ID"]] = task
        behaviour = self._behaviour(task)
        if behaviour.missing:
            self._later(0.1, self._end, task, "rejected", None, behaviour.missing)
            return
        if network is not None:
            attached = {"ID": network["Id"], "Spec": {"Name": network["Name"]}}
            address = f"10.0.{number // 250}.{number % 250 + 2}/24"
            task["NetworksAttachments"] = [{"Network": attached, "Addresses": [address]}]
        self._later(0.1, self._place, service["Spec"], task)

    def _place(self, service: dict[str, Any], task: dict[str, Any]) -> None:
        """Its container starts, once the node has what it publishes."""
        if task["ID"] not in self.tasks or not _wanted(task):
            return
        if error := self._behaviour(task).nowhere:
            task["Status"] = {"State": "pending", "Err": error}
            self._later(0.5, self._place, service, task)
            return
        spec = task["Spec"]["ContainerSpec"]
        others = [other for other in self.containers.values() if other is not spec]
        taken = _ports(service)
        if any(taken & spec_["Published"] for spec_ in others):
            task["Status"]["Err"] = "no suitable node (host-mode port already in use on 1 node)"
            self._later(0.5, self._place, service, task)
            return
        self.met += [
            f"{volume}: {other['Labels'][labels.RELEASE]} and {spec['Labels'][labels.RELEASE]}"
            for other in others
            for volume in _volumes(other) & _volumes(spec)
        ]
        self.job_runs[service["Name"]] += "ReplicatedJob" in service["Mode"]
        on = {each["Target"] for each in task["Spec"]["Networks"]}
        self.containers[task["ID"]] = spec | {"Published": taken, "On": on}
        self._make_volumes(spec)
        self._move(task, "starting")
        self._boot(task)

    def _make_volumes(self, spec: Mapping[str, Any]) -> None:
        for mount in spec["Mounts"]:
            if (options := mount.get("VolumeOptions")) is not None:
                made = {"Name": mount["Source"], "Labels": options["Labels"]}
                self.volumes.setdefault(mount["Source"], made)

    def _boot(self, task: dict[str, Any]) -> None:
        behaviour = self._behaviour(task)
        if behaviour.boot is not None:
            self._later(behaviour.boot, self._move, task, "running")
        if (unhealthy := behaviour.unhealthy_after) is not None:
            task["StreakAt"] = asyncio.get_running_loop().time() + unhealthy
            error = "task: non-zero exit (143): dockerexec: unhealthy container"
            self._later(unhealthy + 2.0, self._end, task, "failed", 143, error)
        if behaviour.ends_after is not None:
            code = behaviour.exit_code
            state, error = ("failed", f"task: non-zero exit ({code})") if code else ("complete", "")
            after = (behaviour.boot or 0.0) + behaviour.ends_after
            self._later(after, self._end, task, state, code, error)

    def _behaviour(self, task: Mapping[str, Any]) -> Behaviour:
        return self.behaviours.get(task["Spec"]["ContainerSpec"]["Image"], Behaviour())

    def _later(self, seconds: float, then: Callable[..., None], *args: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, then, *args)

    def _move(self, task: dict[str, Any], state: str) -> None:
        if task["ID"] in self.containers and task["ID"] in self.tasks and _wanted(task):
            container = {"ContainerID": f"container-{task['ID']}"}
            now = VirtualClock().now().isoformat()
            task["Status"] = {"State": state, "Timestamp": now, "ContainerStatus": container}
            self._tell(task)

    def _end(self, task: dict[str, Any], state: str, code: int | None, error: str) -> None:
        """Swarm leaves it there to be looked at, and starts another a second later."""
        if task["ID"] not in self.tasks or not _wanted(task):
            return
        self.containers.pop(task["ID"], None)
        container = {"ContainerID": f"container-{task['ID']}", "ExitCode": code}
        if state == "rejected":
            container = {}  # it never had one
        task["Status"] = {"State": state, "Err": error, "ContainerStatus": container}
        task["DesiredState"] = "shutdown"
        self._tell(task)
        self._later(1.0, self._reconcile, task["ServiceID"])

    def _reconcile(self, service_id: str) -> None:
        service = self.services.get(service_id)
        if service is None:
            return
        running = self._running(service_id)
        if "ReplicatedJob" in service["Spec"]["Mode"]:
            return  # one task, whatever becomes of it
        wanted = service["Spec"]["Mode"]["Replicated"]["Replicas"]
        for _ in range(wanted - len(running)):
            self._start(service)
        for task in running[wanted:]:
            task["DesiredState"] = "remove"
            self._later(SIGNAL_AFTER, self._signal, task)

    def _running(self, service_id: str) -> list[dict[str, Any]]:
        return [
            task
            for task in self.tasks.values()
            if task["ServiceID"] == service_id and task["DesiredState"] == "running"
        ]

    def _signal(self, task: dict[str, Any]) -> None:
        """Its second one changes nothing."""
        if not task.get("Told"):
            task["Told"] = True
            self._later(self._behaviour(task).stop, self._exit, task)

    def _exit(self, task: dict[str, Any]) -> None:
        if (container := self.containers.pop(task["ID"], None)) is not None:
            self.exited[task["ID"]] = container
            self._tell(task)
        self._later(SAID_AFTER, self._gone, task["ID"])

    def _gone(self, task_id: str) -> None:
        task = self.tasks.pop(task_id, None)
        self.containers.pop(task_id, None)
        self.exited.pop(task_id, None)
        if task is not None:
            self._tell(task)

    def _tell(self, task: dict[str, Any]) -> None:
        for queue in self._watching:
            queue.put_nowait(task["Spec"]["ContainerSpec"]["Labels"])

    # - what a test does

    def end_task(self, service_name: str, code: int = 1) -> None:
        """The first running task of it ends."""
        task = next(
            task
            for task in self.tasks.values()
            if self.services[task["ServiceID"]]["Spec"]["Name"] == service_name
            and task["Status"]["State"] == "running"
        )
        self._end(task, "failed", code, f"task: non-zero exit ({code})")

    def delete_service(self, name: str) -> None:
        """Somebody removes it by hand."""
        self._delete(next(id_ for id_, s in self.services.items() if s["Spec"]["Name"] == name))

    def behaves(self, image: str, behaviour: Behaviour) -> None:
        """From now on; tasks that hang go on by it."""
        self.behaviours[image] = behaviour
        for task in self.tasks.values():
            of = task["Spec"]["ContainerSpec"]["Image"]
            starting = task["Status"]["State"] == "starting"
            if of == image and starting and task["ID"] in self.containers:
                self._boot(task)

    def releases(self) -> dict[str, int]:
        """What each service there is was made for → its wanted replicas."""
        return {
            made_for(service["Spec"]["TaskTemplate"]): _replicas(service["Spec"]["Mode"])
            for service in self.services.values()
        }

    def by_name(self) -> dict[str, int]:
        """Each service there is → its wanted replicas."""
        return {s["Spec"]["Name"]: _replicas(s["Spec"]["Mode"]) for s in self.services.values()}

    def of(self, name: str) -> list[dict[str, Any]]:
        """The tasks of the service which are to run."""
        ids = {id_ for id_, found in self.services.items() if found["Spec"]["Name"] == name}
        return [t for t in self.tasks.values() if t["ServiceID"] in ids and _wanted(t)]

    def on(self, network: str) -> list[str]:
        """The tasks that have a container on it."""
        return [id_ for id_, spec in self.containers.items() if network in spec["On"]]

    def addresses(self, name: str) -> list[str]:
        """Of the tasks of the service which run."""
        return [
            entry["Addresses"][0].partition("/")[0]
            for task in self.of(name)
            if task["Status"]["State"] == "running"
            for entry in task["NetworksAttachments"]
        ]

    # - the API

    async def query(
        self, path: str, method: str, params: Mapping[str, str], data: Mapping[str, Any] | None
    ) -> Any:
        """Raises KeyError for what is not there, Refuses and Away."""
        self.asked[f"{method} {path}"] += 1
        await asyncio.sleep(self.latency)
        if self.away:
            raise Away("connection refused")
        match [method, *path.split("/")]:
            case ["GET", "version"]:
                return {"ApiVersion": "1.48"}
            case ["GET", "info"]:
                return {"Swarm": {"NodeID": NODE}}
            case ["GET", "volumes", name]:
                return self.volumes[name]
            case ["DELETE", "volumes", name]:
                if any(name in _volumes(spec) for spec in self.containers.values()):
                    raise Refuses(f"remove {name}: volume is in use")
                return self.volumes.pop(name)
            case ["GET", "services"]:
                return [s for s in self.services.values() if _fits(s["Spec"]["Labels"], params)]
            case ["POST", "services", "create"]:
                return self._create(_fetched(dict(data or {})))
            case ["GET", "services", id_]:
                return json.loads(json.dumps(self.services[id_]))
            case ["POST", "services", id_, "update"]:
                return self._update(id_, int(params["version"]), dict(data or {}))
            case ["DELETE", "services", id_]:
                self.on_remove(self.services[id_]["Spec"]["Name"])
                return self._delete(id_)
            case ["GET", "tasks"]:
                filters = json.loads(params["filters"])
                wanted, desired = filters.get("service"), filters.get("desired-state")
                for id_ in wanted or ():
                    if id_ not in self.services:
                        raise KeyError(f"service {id_} not found")
                return [
                    t
                    for t in self.tasks.values()
                    if (wanted is None or t["ServiceID"] in wanted)
                    and (
                        "label" not in filters
                        or _fits(t["Spec"]["ContainerSpec"]["Labels"], params)
                    )
                    and (desired is None or t["DesiredState"] in desired)
                ]
            case ["POST", "networks", "create"]:
                asked = dict(data or {})
                name = asked["Name"]
                if name in self.networks:
                    raise Refuses(f"network with name {name} already exists")
                made = {"Id": self._new("network"), "Name": name, "Labels": asked["Labels"]}
                self.networks[name] = made
                return made
            case ["GET", "networks"] if "scope" in json.loads(params["filters"]):
                return [{"Id": "egress", "Name": labels.egress_network(INSTANCE)}]
            case ["GET", "networks"]:
                return [n for n in self.networks.values() if _fits(n["Labels"], params)]
            case ["GET", "networks", name]:
                return self.networks[name]
            case ["DELETE", "networks", name]:
                return self._delete_network(name)
            case ["POST", "secrets", "create"]:
                return self._keep_secret(dict(data or {}))
            case ["GET", "secrets"]:
                return [s for s in self.secrets.values() if _fits(s["Spec"]["Labels"], params)]
            case ["GET", "secrets", name]:
                return next(s for s in self.secrets.values() if s["Spec"]["Name"] == name)
            case ["DELETE", "secrets", id_]:
                if any(id_ in json.dumps(service) for service in self.services.values()):
                    raise Refuses("secret is in use by a service")
                return self.secrets.pop(id_)
            case ["GET", "images", "json"]:
                return [i for i in self.images.values() if _fits(i["Config"]["Labels"], params)]
            case ["GET", "images", at, *reference, "json"]:
                assert at == REGISTRY
                digest = "/".join(reference).rpartition("@")[2]
                return self.images.get(digest, {"Config": {"Cmd": ["serve"]}})
            case ["DELETE", "images", *reference]:
                name = "/".join(reference)
                if any(spec["Image"] == name for spec in self.containers.values()):
                    raise Refuses("conflict: the image is used by a running container")
                return self.images.pop(name)
            case ["GET", "containers", "json"]:
                return self._listed(params)
            case ["POST", "containers", container, "kill"]:
                task = self.tasks[container.removeprefix("container-")]
                assert not _wanted(task), "Swarm would start another one"
                assert params == {"signal": "SIGTERM"}
                if task["ID"] not in self.containers:
                    raise Refuses("container is not running")
                return self._signal(task)
            case ["DELETE", "containers", container]:
                assert params == {"force": "1"}
                return self._gone(container.removeprefix("container-"))
            case ["GET", "containers", container, "json"]:
                return self._container(container)
            case asked:
                raise AssertionError(f"the engine was asked {asked}")

    def _listed(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        states = {"running": self.containers}
        if params.get("all") == "1":
            states["exited"] = self.exited
        return [
            spec | {"Id": f"container-{task}", "State": state}
            for state, specs in states.items()
            for task, spec in specs.items()
            if _fits(spec["Labels"], params)
        ]

    def _keep_secret(self, spec: dict[str, Any]) -> dict[str, Any]:
        if any(s["Spec"]["Name"] == spec["Name"] for s in self.secrets.values()):
            raise Refuses(f"rpc error: secret {spec['Name']} already exists")
        secret = {"ID": self._new("secret"), "Spec": spec}
        self.secrets[secret["ID"]] = secret
        return secret

    def _create(self, spec: dict[str, Any]) -> None:
        behaviour = self.behaviours.get(spec["TaskTemplate"]["ContainerSpec"]["Image"], Behaviour())
        if behaviour.refused:
            raise Refuses(behaviour.refused)
        if any(s["Spec"]["Name"] == spec["Name"] for s in self.services.values()):
            name = spec["Name"]
            raise Refuses(f"rpc error: name conflicts with an existing object: service {name}")
        attached = [each["Target"] for each in spec["TaskTemplate"]["Networks"]]
        assert len({*attached}) == len(attached)
        *own, last = attached
        assert last == labels.egress_network(INSTANCE)  # the installation has made it
        assert {*own} <= self.networks.keys()
        assert spec["EndpointSpec"]["Mode"] == "dnsrr"
        container = spec["TaskTemplate"]["ContainerSpec"]
        if "HealthCheck" in container:  # it is told as the engine tells it
            container["Healthcheck"] = container.pop("HealthCheck")
        at = (EPOCH + timedelta(seconds=asyncio.get_running_loop().time())).isoformat()
        times = {"CreatedAt": at, "UpdatedAt": at}
        service = {"ID": self._new("service"), "Version": {"Index": 1}, "Spec": spec, **times}
        self.services[service["ID"]] = service
        if "ReplicatedJob" in spec["Mode"]:
            assert spec["TaskTemplate"]["RestartPolicy"]["Condition"] == "none"
            self._start(service)
        self._reconcile(service["ID"])

    def _update(self, id_: str, version: int, spec: dict[str, Any]) -> None:
        service = self.services[id_]
        if service["Version"]["Index"] != version:
            raise Refuses("rpc error: update out of sequence")
        if spec["Mode"].keys() != service["Spec"]["Mode"].keys():
            raise Refuses("rpc error: service mode change is not allowed")
        service["Spec"] = spec
        service["Version"] = {"Index": version + 1}
        at = EPOCH + timedelta(seconds=asyncio.get_running_loop().time())
        service["UpdatedAt"] = at.isoformat()
        self._reconcile(id_)

    def _delete(self, id_: str) -> None:
        del self.services[id_]
        for task in [task for task in self.tasks.values() if task["ServiceID"] == id_]:
            container = self.containers.get(task["ID"])
            self._gone(task["ID"])
            if container is not None:
                self.containers[task["ID"]] = container
                self._later(self._behaviour(task).stop + 1.0, self._gone, task["ID"])

    def _delete_network(self, name: str) -> None:
        used = [s["Spec"]["TaskTemplate"]["Networks"] for s in self.services.values()]
        attached = any(name == each["Target"] for networks in used for each in networks)
        if attached or name in self.joined or self.on(name):
            raise Refuses(f"network {name} has active endpoints")
        del self.networks[name]

    def _container(self, container: str) -> dict[str, Any]:
        task = self.tasks[container.removeprefix("container-")]
        answers = self.behaviours.get(task["Spec"]["ContainerSpec"]["Image"], Behaviour()).answers
        at = EPOCH.isoformat()
        log = [{"Start": at, "ExitCode": 1, "Output": f"{answers}\n"}] if answers else []
        streak_at = task["StreakAt"]
        over = streak_at is not None and asyncio.get_running_loop().time() >= streak_at
        health = {"FailingStreak": 3 if over else 0, "Log": log}
        spec = task["Spec"]["ContainerSpec"]
        check = {"Test": spec.get("Healthcheck", {}).get("Test"), "Retries": 3}
        config = {"Healthcheck": check, "Labels": spec["Labels"]}
        return {"State": {"StartedAt": at, "Health": health}, "Config": config}

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Containers that did something; ends when the engine is away."""
        queue: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._watching[queue] = None
        try:
            while not self.away:
                try:
                    async with asyncio.timeout(5.0):
                        marks = await queue.get()
                except TimeoutError:
                    continue
                yield {"ID": "", "Attributes": marks}
        finally:
            del self._watching[queue]
        raise Away("the event stream ended")


def _fetched(spec: dict[str, Any]) -> dict[str, Any]:
    """What is to run comes from the registry, and is known here by its digest."""
    template = spec["TaskTemplate"]
    at, _, image = template["ContainerSpec"]["Image"].partition("/")
    assert at == REGISTRY
    container = template["ContainerSpec"] | {"Image": image.rpartition("@")[2]}
    return spec | {"TaskTemplate": template | {"ContainerSpec": container}}


def made_for(template: Mapping[str, Any]) -> str:
    """Of a task's specification: the deployment that it is of, or `<deployment>/<workload>` for a
    workload which is not the main one. Each has an image of its own, called so."""
    return template["ContainerSpec"]["Image"].removeprefix("sha256:")


def _replicas(mode: Mapping[str, Any]) -> int:
    return 1 if "ReplicatedJob" in mode else mode["Replicated"]["Replicas"]


def _wanted(task: Mapping[str, Any]) -> bool:
    return task["DesiredState"] in ("running", "complete")


def _volumes(container: Mapping[str, Any]) -> set[str]:
    """Those that it may write."""
    return {
        mount["Source"]
        for mount in container["Mounts"]
        if mount["Type"] == "volume" and not mount.get("ReadOnly")
    }


def _ports(service: Mapping[str, Any]) -> set[tuple[int, str]]:
    ports = service["EndpointSpec"].get("Ports") or ()
    return {(port["PublishedPort"], port["Protocol"]) for port in ports}


def _fits(marks: Mapping[str, str], params: Mapping[str, str]) -> bool:
    wanted = json.loads(params["filters"])["label"]
    pairs = (mark.partition("=") for mark in wanted)
    return all(
        marks.get(name) == value if equals else name in marks for name, equals, value in pairs
    )
