"""Makes a release: what it consists of, and each of its Swarm services."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from slipway.contracts import labels
from slipway.contracts.build import BuildSucceeded
from slipway.contracts.rollout import Release, Released
from slipway.contracts.values import Failure, VolumeMount
from slipway.contracts.workload import Workload
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.envelope import Subject
from slipway.runtime import failpoints
from slipway.runtime.engine import EngineRefused
from slipway.sealing import CannotOpen

from deployer.rollout import explain, render
from deployer.rollout.hosts import HostTable
from deployer.rollout.observe import request, requested
from deployer.rollout.releases import Owner
from deployer.rollout.sealed import Missing, SealedWorkloads

failpoints.register("deployer.create.before", "deployer.create.after")


class Impossible(Exception):
    """It can't be made, and trying again doesn't help."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class CreatingEngine(Protocol):
    async def create(self, body: Mapping[str, Any]) -> None:
        """One that is there under the same name is the same release: names are derived."""
        ...

    async def keep_file(self, body: Mapping[str, Any]) -> str:
        """As a Swarm secret, whose id it is. One that is there under the same name is the same."""
        ...

    async def image_config(self, reference: str) -> Mapping[str, Any] | None: ...
    async def knows_start_interval(self) -> bool: ...


class EnvironmentNetworks(Protocol):
    async def made(self, organization: str, environment: str) -> str:
        """The name of the environment's network, which is there now."""
        ...

    async def made_own(self, organization: str, service: str, names: Sequence[str]) -> None:
        """The service's own networks of these names are there now."""
        ...


class ServiceVolumes(Protocol):
    async def made(
        self, organization: str, service: str, names: Sequence[str], node: str | None
    ) -> Sequence[str]:
        """The node of the service's volumes of these names, which are facts now. `node`: the one
        that alone has the image. Where they are on several, all of these, and nothing is made."""
        ...


class Creator:
    def __init__(
        self,
        store: EventStore,
        engine: CreatingEngine,
        networks: EnvironmentNetworks,
        volumes: ServiceVolumes,
        sealed: SealedWorkloads,
        instance: str,
    ) -> None:
        self._store, self._engine = store, engine
        self._networks, self._volumes, self._sealed = networks, volumes, sealed
        self._instance = instance
        self._hosts = HostTable(store)

    async def release(
        self, subject: Subject, requested: Commit, sequence: int, serving: Release | None
    ) -> Release:
        """Of what is repeated no job runs, and restart and start carry nothing. Raises CannotOpen,
        Missing."""
        deployment = requested.subject.id
        commits = await self._store.load(Subject(subject.organization, "build", deployment))
        events = [event for commit in commits for event in commit.events]
        # That its images are swept may stand behind it.
        built = next((each for each in events if isinstance(each, BuildSucceeded)), None)
        if built is None:
            raise RuntimeError(f"{deployment} is queued without an outcome of its build")
        workloads = await self._sealed.opened(subject.organization, built.sealed)
        digests = {each.name: each.digest for each in built.workloads}
        asked = request(requested)
        repeats = asked.repeats is not None and asked.trigger.kind != "manual"
        again = repeats and asked.trigger.kind != "rollback"
        former = {} if again or serving is None else {each.name: each for each in serving.workloads}
        items = [each for each in workloads.items if not (each.job and repeats)]
        # A job runs where what holds the same stands still: that is made anew behind it.
        of_jobs = {held for each in items if each.job for held in each.holds}
        return Release(
            deployment=deployment,
            sequence=sequence,
            workloads=tuple(
                _released(
                    workload,
                    digests[workload.name],
                    labels.release(self._instance, subject.id, workload.name, deployment),
                    None if of_jobs & {*workload.holds} else former.get(workload.name),
                )
                for workload in items
            ),
            sealed=built.sealed,
            commit=built.commit,
        )

    async def create(
        self, owner: Owner, release: Release, released: Released, replicas: int
    ) -> None:
        """Raises Impossible, and what the engine and the log raise."""
        organization = owner[0]
        asked = request(await requested(self._store, organization, release.deployment))
        try:
            workloads = await self._sealed.opened(organization, release.sealed)
        except (CannotOpen, Missing) as error:
            raise Impossible(explain.workloads_unreadable(str(error))) from error
        workload = workloads.by_name[released.name]
        config = await self._engine.image_config(workload.image.reference)
        if config is None:
            raise Impossible(explain.image_missing(workload.image.reference))
        if (failure := _impossible(workload, config)) is not None:
            raise Impossible(failure)
        await self._networks.made_own(*owner, released.networks)
        files = await self._files(owner, released, workload)
        body = render.swarm_service(
            instance=self._instance,
            organization=organization,
            project=asked.project,
            environment=asked.environment,
            service=asked.service,
            network=await self._networks.made(organization, asked.environment),
            swarm_service=released.swarm_service,
            workload=workload,
            image_config=config,
            replicas=replicas,
            start_interval=await self._engine.knows_start_interval(),
            pinned=await self._pinned(owner, workload),
            files=files,
            host=await self._host(owner, release, released, workload),
        )
        await failpoints.hit("deployer.create.before")
        try:
            await self._engine.create(body)
        except EngineRefused as error:
            raise Impossible(explain.refused(str(error))) from error
        await failpoints.hit("deployer.create.after")

    async def _host(
        self, owner: Owner, release: Release, released: Released, workload: Workload
    ) -> str | None:
        """No part of its digest: with another domain it goes on as it is."""
        check = workload.health_check
        asks = check is not None and check.path and not check.host and not workload.job
        return await self._hosts.of(owner[1], release, released) if asks else None

    async def _pinned(self, owner: Owner, workload: Workload) -> str | None:
        """The node of its volumes. Raises Impossible."""
        names = [mount.name for mount in workload.mounts if isinstance(mount, VolumeMount)]
        if not names:
            return None
        node, *others = await self._volumes.made(*owner, names, workload.image.node)
        if others:
            raise Impossible(explain.apart(names, [node, *others]))
        return node

    async def _files(
        self, owner: Owner, released: Released, workload: Workload
    ) -> Mapping[str, str]:
        """Name → id. Raises Impossible."""
        bodies = render.files(self._instance, owner[1], released.swarm_service, workload)
        try:
            return {body["Name"]: await self._engine.keep_file(body) for body in bodies}
        except EngineRefused as error:
            raise Impossible(explain.refused(str(error))) from error


def _released(
    workload: Workload, digest: str, swarm_service: str, former: Released | None
) -> Released:
    """What is the same as it was goes on as it is."""
    carried = former is not None and not workload.job and former.digest == digest
    return Released(
        name=workload.name,
        swarm_service=former.swarm_service if former is not None and carried else swarm_service,
        image=workload.image,
        digest=digest,
        port=workload.port,
        settle_seconds=workload.settle_seconds,
        stop_seconds=render.stop_seconds(workload),
        health_path=workload.health_check.path if workload.health_check else None,
        health_command=bool(workload.health_check and workload.health_check.command),
        carried=carried,
        job=workload.job,
        after=workload.after,
        holds=workload.holds,
        networks=tuple(each.name for each in workload.networks),
        replicas=workload.replicas,
    )


def _impossible(workload: Workload, image_config: Mapping[str, Any]) -> Failure | None:
    """Why it can't be made, as far as that is known before."""
    check = workload.health_check
    asks = check is not None and not check.command and not workload.job
    if check is not None and asks and check.path and workload.port is None:
        return explain.no_port(check.path)
    if not render.program_of(workload, image_config):
        return explain.no_command(workload.image.source or workload.image.reference)
    return None
