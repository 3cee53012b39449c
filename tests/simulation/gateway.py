"""The gateway in the world: its deciders, reactions, deadlines and read models, over documents in
memory; and how people reach it, whose requests die with it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from api_gateway.app import FEATURES, reactor
from api_gateway.gateway import Gateway
from api_gateway.request_context import RequestContext
from api_gateway.settings import GatewaySettings
from pydantic import SecretStr
from slipway.eventstore.memory import MemoryDeadLetters, MemoryKeys, MemoryLogs, MemoryObjects
from slipway.kernel.envelope import Actor
from slipway.kernel.errors import DomainError, Unavailable
from slipway.kernel.ids import derived
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Away
from slipway.readmodel.projector import Projector
from slipway.sealing import generate

from tests.simulation.platform import MASTER, ORGANIZATION
from tests.simulation.world import Life, Seen, World

OWN = generate()
VERSION = FEATURES.version
SETTINGS = GatewaySettings(
    master_public=MASTER.public,
    gateway_key=SecretStr(OWN.private),
    test_kinds=True,
)


async def _forever(work: Awaitable[None]) -> None:
    await work


class Front:
    """Where people reach the gateway, while one lives."""

    def __init__(self, world: World, logs: MemoryLogs, build_logs: MemoryObjects) -> None:
        self.world, self.logs, self.build_logs = world, logs, build_logs
        self.documents = MemoryDocuments()
        self.letters = MemoryDeadLetters(world.clock)
        self.refused: Counter[str] = Counter()
        """How often each word of refusal was said."""
        self._open: tuple[Gateway, Life] | None = None

    async def live(self, life: Life) -> None:
        """One life of the gateway, wired as its `app.py` does."""
        store = Seen(self.world, life)
        projector = Projector(store, self.documents, FEATURES.projections, VERSION)
        gateway = Gateway(
            store=store, documents=self.documents, projector=projector, logs=self.logs,
            build_logs=self.build_logs, job_logs=self.world.job_logs, keys=MemoryKeys(),
            dead_letters=self.letters, clock=self.world.clock, settings=SETTINGS,
            projections=FEATURES.projections, memories=FEATURES.memories,
            ready=lambda: projector.caught_up,
        )  # fmt: skip
        self._open = gateway, life
        async with asyncio.TaskGroup() as group:
            group.create_task(projector.run())
            group.create_task(reactor(gateway, FEATURES).run())
            for work in FEATURES.work:
                group.create_task(_forever(work(gateway)))

    async def ask[T](
        self, key: str, call: Callable[[Gateway, RequestContext], Awaitable[T]]
    ) -> T | None:
        """A request with that `Idempotency-Key`, sent again until there is an answer; None when
        that is a refusal."""
        while True:
            if (task := self._asked(key, call)) is not None:
                try:
                    await asyncio.wait([task])
                finally:
                    task.cancel()
                try:
                    if not task.cancelled():
                        return task.result()
                except (Unavailable, Away):
                    pass
                except DomainError as error:
                    self.refused[error.slug] += 1
                    return None
            await asyncio.sleep(0.5)

    def _asked[T](
        self, key: str, call: Callable[[Gateway, RequestContext], Awaitable[T]]
    ) -> asyncio.Task[T] | None:
        """None while there is no gateway. It ends with the life of the one that there is."""
        if self._open is None:
            return None
        gateway, life = self._open
        if life.died.is_set() or not gateway.ready():
            return None
        ctx = RequestContext(
            id=derived("request", key), actor=Actor("user", "ada"), at=self.world.clock.now(),
            organization=ORGANIZATION, role="owner", user="ada", digest="body", keyed=True,
        )  # fmt: skip

        async def request() -> T:
            answering = asyncio.ensure_future(call(gateway, ctx))
            death = asyncio.ensure_future(life.died.wait())
            try:
                await asyncio.wait([answering, death], return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    raise asyncio.CancelledError
                return answering.result()
            finally:
                answering.cancel()
                death.cancel()

        return asyncio.create_task(request(), context=life.context)
