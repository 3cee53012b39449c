"""The parts of this service, of which each feature takes what it needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.eventstore.dead_letters import DeadLetters
from slipway.eventstore.keys import Keys
from slipway.eventstore.log_store import LogStore
from slipway.eventstore.objects import Objects
from slipway.eventstore.store import EventStore
from slipway.kernel.clock import Clock
from slipway.readmodel.model import Documents, Projection
from slipway.readmodel.projector import Projector

from api_gateway.ahead import Ahead
from api_gateway.commands import Commands
from api_gateway.credentials import Credentials
from api_gateway.listener import Listener
from api_gateway.observed import Observed
from api_gateway.own_key import OwnKey
from api_gateway.settings import GatewaySettings

type Memory = Callable[[EventStore, Documents, Projector], Any]
"""A class of what a feature keeps in memory; one of each is made, and hears of what is written and
folded if it is a `Listener`."""


@dataclass(slots=True)
class Gateway:
    store: EventStore
    documents: Documents
    """What was written here is in it, also where the projector is behind."""
    projector: Projector
    logs: LogStore
    build_logs: Objects
    job_logs: Objects
    keys: Keys
    dead_letters: DeadLetters
    clock: Clock
    settings: GatewaySettings
    projections: Sequence[Projection]
    memories: Sequence[Memory]
    ready: Callable[[], bool] = lambda: True
    observed: Observed = field(default_factory=Observed)
    own_key: OwnKey = field(init=False)
    commands: Commands = field(init=False)
    credentials: Credentials = field(init=False)
    _memories: dict[Memory, Any] = field(init=False)

    def __post_init__(self) -> None:
        ahead = Ahead(self.documents, self.projections)
        self.documents = self.projector.known = ahead
        self.own_key = OwnKey(self.settings.gateway_key)
        self.credentials = Credentials(self.documents, self.projector)
        self._memories = {
            memory: memory(self.store, self.documents, self.projector) for memory in self.memories
        }
        kept = [ahead, self.credentials, *self._memories.values()]
        listeners = [item for item in kept if isinstance(item, Listener)]
        self.commands = Commands(self.store, listeners)
        self.projector.listeners += [listener.folded for listener in listeners]

    def memory[M](self, kind: Callable[[EventStore, Documents, Projector], M]) -> M:
        """Raises KeyError for one that no feature declares."""
        return self._memories[kind]
