"""Everything of the deployer, built by hand."""

import asyncio
import shutil
import socket

from slipway.contracts.build import BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested, DeploymentStopRequested
from slipway.contracts.event import NewerRelease, Unknown
from slipway.contracts.organization import EgressSet
from slipway.contracts.project import EnvironmentCreated, EnvironmentDeletionRequested
from slipway.contracts.registry import PLATFORM, account
from slipway.contracts.route import NetworkLeft, RouteEvent
from slipway.contracts.service import (
    ServiceCreated,
    ServiceDeleted,
    ServiceDeletionRequested,
    ServiceScaled,
    ServiceStarted,
    ServiceStopped,
)
from slipway.eventstore.jetstream import connect
from slipway.eventstore.store import Commit
from slipway.kernel.clock import Clock
from slipway.runtime.clock import SystemClock
from slipway.runtime.engine import EngineApi
from slipway.runtime.process import until
from slipway.runtime.reactor import Dead, Handle, NoFact, Reactor
from slipway.sealing import Opener

from deployer.adapters.engine import Engine
from deployer.adapters.guard import Guard
from deployer.adapters.log_server import LogServer
from deployer.adapters.output import Outputs
from deployer.egress.react import Egress
from deployer.networks.react import Networks
from deployer.recovery.react import Recovery
from deployer.rollout.counting import Counting
from deployer.rollout.masks import Masks
from deployer.rollout.printed import Printed
from deployer.rollout.react import Rollouts
from deployer.rollout.sealed import SealedWorkloads
from deployer.settings import DeployerSettings
from deployer.volumes.react import Volumes
from deployer.way_out.react import WayOut


def key(commit: Commit) -> str | None:
    """Nothing is to be done for what was made, and is not deployed yet."""
    if isinstance(commit.events[0], DeploymentRequested | ServiceCreated | EnvironmentCreated):
        return None
    return commit.subject.id


def reaction(rollouts: Rollouts, networks: Networks, volumes: Volumes, egress: Egress) -> Handle:
    async def react(commit: Commit) -> None:
        organization, id_ = commit.subject.organization, commit.subject.id
        for event in commit.events:
            match event:
                case BuildSucceeded():
                    await rollouts.queue(commit, event)
                    rollouts.ensure(organization, event.service)
                case Unknown(name=BuildSucceeded.type):
                    # A dead letter in the end: no head would tell of it later.
                    raise NewerRelease(f"{event.name} of a newer release can't be rolled out")
                case DeploymentStopRequested():
                    rollouts.ensure(organization, event.service)
                case EnvironmentDeletionRequested():
                    networks.ensure(organization, id_)
                case (
                    ServiceScaled() | ServiceStopped() | ServiceStarted()
                    | ServiceDeletionRequested() | RouteEvent()
                ):  # fmt: skip
                    rollouts.ensure(organization, id_)
                case ServiceDeleted():
                    volumes.wake()
                case EgressSet():
                    egress.wake()
                case NetworkLeft():
                    networks.wake(id_)
                case _:
                    pass

    return react


def giving_up(rollouts: Rollouts) -> Dead:
    async def give_up(commit: Commit, error: Exception) -> None:
        for event in commit.events:
            if isinstance(event, BuildSucceeded):
                await rollouts.refuse(commit, event, error)
                return
        raise NoFact

    return give_up


def put_lifeline(settings: DeployerSettings) -> None:
    """The program that every release runs under, into the volume they mount. Under another name
    first: a running release must never see half of it."""
    settings.lifeline_volume.mkdir(parents=True, exist_ok=True)
    part = settings.lifeline_volume / f".part-{socket.gethostname()}"
    shutil.copyfile(settings.lifeline, part)
    part.chmod(0o755)
    part.rename(settings.lifeline_volume / "lifeline")


async def main(stopping: asyncio.Event) -> None:
    settings = DeployerSettings()
    put_lifeline(settings)
    clock = SystemClock()
    reads = account(settings.master_private.get_secret_value(), PLATFORM)
    api = EngineApi(account=reads)
    engine = Engine(api, settings.instance, settings.registry_port)
    recovery = Recovery(engine, LogServer(settings.nats_url), clock, settings.instance)
    try:
        # Beside it, not in it: to connect and to get the lease takes a log that can be written to.
        await until(stopping, recovery.run(), deploy(settings, api, engine, clock))
    finally:
        await api.close()


async def deploy(settings: DeployerSettings, api: EngineApi, engine: Engine, clock: Clock) -> None:
    """Until cancelled: everything that a holder of the lease does."""
    connection = await connect(
        settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value()
    )
    lease = connection.lease("deployer", socket.gethostname(), clock)
    opener = Opener(settings.master_private.get_secret_value(), connection.keys.get)
    store = connection.store
    networks = Networks(store, engine, clock, lease, settings.instance)
    keep = settings.volume_keep_seconds
    volumes = Volumes(store, engine, clock, lease, settings.instance, keep)
    sealed = SealedWorkloads(connection.workloads, opener)
    printed = Printed(Masks(sealed), Outputs(api), connection.job_logs)
    rollouts = Rollouts(
        store, engine, networks, volumes, sealed, printed, clock, lease, settings.instance
    )
    egress = Egress(store, Guard(api, settings.instance), lease)
    counting = Counting(engine, rollouts.releases, connection.observations, clock, lease)
    try:
        await lease.acquire()
        reactor = Reactor(
            store,
            "deployer",
            key,
            reaction(rollouts, networks, volumes, egress),
            dead=giving_up(rollouts),
            letters=connection.dead_letters,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(rollouts.run())
            group.create_task(counting.run())
            group.create_task(networks.run())
            group.create_task(volumes.run())
            group.create_task(egress.run())
            group.create_task(WayOut(engine.ways_out, clock, lease).run())
            group.create_task(reactor.run())
    finally:
        await lease.release()
        await connection.close()
