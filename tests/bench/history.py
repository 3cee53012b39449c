"""A long history as a platform in use would have written it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from slipway.contracts import labels
from slipway.contracts.build import BuildStarted, BuildSucceeded, WorkloadsObject
from slipway.contracts.deployment import DeploymentRequested, DeploymentSucceeded, Trigger
from slipway.contracts.event import Event
from slipway.contracts.organization import SessionClosed, SessionOpened
from slipway.contracts.project import EnvironmentCreated, NameClaimed, ProjectCreated
from slipway.contracts.rollout import (
    Pending,
    Release,
    Released,
    RolloutQueued,
    RolloutReady,
    RolloutStarted,
    RolloutState,
    RolloutSucceeded,
    Task,
)
from slipway.contracts.route import Binding, RouteActivated, RouteState, Served
from slipway.contracts.service import ServiceCreated, ServiceScaled
from slipway.contracts.values import (
    ApplicationSettings,
    BuiltImage,
    GitCommit,
    GitSource,
    Runtime,
    ScopedVariables,
    Sealed,
    Specification,
    Step,
    Variable,
)
from slipway.contracts.workload import MAIN, Built
from slipway.eventstore import codec
from slipway.kernel.envelope import INSTALLATION, NOTHING, Actor, Head, Meta, Subject, digest
from slipway.kernel.ids import derived, value_id
from slipway.runtime.clock import iso

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SERVICE, USER = Actor("service", "deployer"), Actor("user", derived("user", 1), "192.0.2.7")


class Message(NamedTuple):
    """A commit as it is published."""

    subject: str
    data: bytes
    expected: int
    commit: str


class History:
    """Commits in the order of the log."""

    def __init__(self) -> None:
        self.sequence = 0
        self._heads: dict[Subject, Head] = {}

    def commit(self, subject: Subject, *events: Event, actor: Actor = SERVICE) -> Message:
        self.sequence += 1
        expected = self._heads.get(subject, NOTHING)
        cause = f"00000000-0000-5000-8000-{self.sequence:012x}"
        meta = Meta(
            f"00000000-0000-5000-9000-{self.sequence:012x}",
            BEGAN + timedelta(seconds=self.sequence),
            actor,
            subject.id,
            cause,
        )
        data = codec.to_bytes(expected, events, meta)
        self._heads[subject] = Head(self.sequence, expected.version + 1, digest(data))
        return Message(str(subject), data, expected.sequence, meta.commit)

    def written(self, use: "Use") -> Iterator[Message]:
        """Organizations with a project each, then deployments of all services in turn; between
        them sessions that are opened and closed, and services that are scaled."""
        sites = []
        chance = Random(1)
        for number in range(use.organizations):
            organization = derived("organization", number)
            project, environment = derived("project", number), derived("environment", number)
            production = NameClaimed(scope=project, name="Production", owner=environment)
            name = Subject(organization, "name", value_id("name", project, "production"))
            yield self.commit(name, production, actor=USER)
            yield self.commit(
                Subject(organization, "environment", environment),
                EnvironmentCreated(project=project, name="Production"),
                actor=USER,
            )
            yield self.commit(
                Subject(organization, "project", project),
                ProjectCreated(name=f"Project {number}", environment=environment),
                actor=USER,
            )
            for index in range(use.services):
                site = Site(self, organization, project, environment, f"web-{index}", use.variables)
                sites.append(site)
                yield from site.created()
        for number in range(use.deployments):
            yield from sites[number % len(sites)].deployed(number)
            for session in range(use.sessions):
                yield from self.session(f"{number}.{session}")
            for _ in range(use.changes):
                yield chance.choice(sites).scaled(1 + number % 9)

    def session(self, name: str) -> Iterator[Message]:
        subject = Subject(INSTALLATION, "session", derived("session", name))
        opened = SessionOpened(
            user=USER.id, token_hash=value_id("token", name), expires_at=iso(BEGAN)
        )
        yield self.commit(subject, opened, actor=USER)
        yield self.commit(subject, SessionClosed(), actor=USER)


@dataclass(frozen=True, slots=True)
class Use:
    """How a platform was used: `services` by organization, `variables` by service besides three,
    `sessions` and `changes` by deployment."""

    organizations: int = 20
    services: int = 50
    deployments: int = 11_000
    variables: int = 0
    sessions: int = 0
    changes: int = 0


HUNDRED_THOUSAND = Use()
"""101,060 events of small deployments, and little else."""
MILLION = Use(
    organizations=100, services=50, deployments=60_000, variables=35, sessions=1, changes=6
)
"""1,030,300 events in 200,300 aggregates, of them 60,000 deployments of 6 KB."""


class Site:
    def __init__(
        self,
        history: History,
        organization: str,
        project: str,
        environment: str,
        name: str,
        variables: int,
    ) -> None:
        self._history, self._organization = history, organization
        self._project, self._environment, self._name = project, environment, name
        self._id = derived("service", organization, name)
        self._state = RolloutState(environment=environment)
        self._settings = ApplicationSettings(
            source=GitSource(url=f"https://git.example/shop/{name}.git"), runtime=Runtime(port=8080)
        )
        set_ = (
            ScopedVariables(
                scope="service",
                items=(
                    Variable(name="DATABASE_URL", value="postgres://db.example/shop"),
                    Variable(name="LOG_LEVEL", value="info"),
                    Variable(name="API_KEY", sealed=Sealed(key=organization, text="QUJD" * 40)),
                    *(
                        Variable(name=f"FEATURE_{number}", value=f"https://{number}.example/" * 5)
                        for number in range(variables)
                    ),
                ),
            ),
        )
        self._specification = Specification(name=name, settings=self._settings, variables=set_)

    def _commit(self, category: str, id_: str, *events: Event, actor: Actor = SERVICE) -> Message:
        return self._history.commit(
            Subject(self._organization, category, id_), *events, actor=actor
        )

    def created(self) -> Iterator[Message]:
        name = value_id("name", self._environment, self._name)
        claimed = NameClaimed(scope=self._environment, name=self._name, owner=self._id)
        yield self._commit("name", name, claimed, actor=USER)
        yield self._commit(
            "service",
            self._id,
            ServiceCreated(
                project=self._project,
                environment=self._environment,
                name=self._name,
                settings=self._settings,
                webhook_token=Sealed(key="gateway", text="QUJD" * 40),
                webhook_hash=value_id("webhook", self._id),
            ),
            actor=USER,
        )

    def scaled(self, replicas: int) -> Message:
        return self._commit("service", self._id, ServiceScaled(replicas=replicas), actor=USER)

    def deployed(self, number: int) -> Iterator[Message]:
        """From the request to what is live: nine commits of one event each."""
        id_, service = derived("deployment", number), self._id
        about: Any = {"service": service, "kind": "application"}
        began = iso(BEGAN + timedelta(seconds=self._history.sequence))
        image = BuiltImage(reference=f"sha256:{number:064x}", node="node1", ports=(8080,))
        commit = GitCommit(hash=f"{number:040x}", message="Mend the basket", author="Ada")
        hash_ = digest(service.encode())
        sealed = WorkloadsObject(name=f"{id_}.1", hash=hash_)
        steps = tuple(
            Step(name=f"[{step}/4] RUN step {step}", started=began, ended=began)
            for step in range(1, 5)
        )
        yield self._commit(
            "deployment",
            id_,
            DeploymentRequested(
                kind="application", project=self._project, environment=self._environment,
                service=service,
                specification=self._specification, trigger=Trigger(kind="manual"),
            ),
            actor=USER,
        )  # fmt: skip
        sequence = self._history.sequence
        started = BuildStarted(
            kind="application",
            service=service,
            environment=self._environment,
            attempt=1,
            deadline=began,
        )
        yield self._commit("build", id_, started)
        built = BuildSucceeded(
            kind="application", service=service, environment=self._environment,
            workloads=(Built(name=MAIN, digest=hash_[:32], image=image, port=8080),),
            sealed=sealed, commit=commit, steps=steps,
        )  # fmt: skip
        yield self._commit("build", id_, built)
        swarm_service = labels.release("slipway", service, MAIN, id_)
        main = Released(
            name=MAIN, swarm_service=swarm_service, image=image, digest=hash_[:32], port=8080
        )
        release = Release(
            deployment=id_, sequence=sequence, workloads=(main,), sealed=sealed, commit=commit
        )
        task = Task(id=f"task{number}", workload=MAIN, address="10.0.5.7")
        state = self._state.model_copy(
            update={"queue": (Pending(deployment=id_, sequence=sequence),)}
        )
        yield self._commit("rollout", service, RolloutQueued(**about, deployment=id_, state=state))
        state = state.model_copy(
            update={"queue": (), "wanted": release, "highest": sequence, "deadline": began}
        )
        yield self._commit("rollout", service, RolloutStarted(**about, deployment=id_, state=state))
        state = state.model_copy(update={"ready": True, "tasks": (task,)})
        yield self._commit("rollout", service, RolloutReady(**about, deployment=id_, state=state))
        host = f"{self._name}.example"
        binding = Binding(
            domain=derived("domain", service), host=host, path="/", workload=MAIN, port=8080
        )
        route = RouteState(
            environment=self._environment, deployment=id_, attempt=1,
            served=(Served(workload=MAIN, swarm_service=swarm_service),),
            named=(swarm_service,), addresses=("10.0.5.7:8080",), bindings=(binding,),
        )  # fmt: skip
        yield self._commit("route", service, RouteActivated(**about, deployment=id_, state=route))
        self._state = state.model_copy(
            update={"serving": release, "wanted": None, "ready": False, "deadline": None}
        )
        succeeded = RolloutSucceeded(**about, deployment=id_, state=self._state)
        yield self._commit("rollout", service, succeeded)
        ended = DeploymentSucceeded(kind="application", service=service, commit=commit)
        yield self._commit("deployment", id_, ended, actor=Actor("service", "api-gateway"))
