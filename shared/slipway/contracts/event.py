"""The base of every event, and the registry by its wire name."""

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from slipway.kernel.envelope import Stored

type Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

REGISTRY: dict[str, type["Event"]] = {}
UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, from version) → a pure function to the next version's data."""


class Value(BaseModel):
    """A frozen value inside events. Unknown fields are an error: a misspelt one must not vanish."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(Value):
    """A fact. `type` is its wire name, for ever; `v` the version of its shape; `public` the
    fields that may leave the installation (subscriptions, the event stream)."""

    type: ClassVar[str]
    v: ClassVar[int] = 1
    public: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        wire = cls.__dict__.get("type")
        if wire is None:
            return
        if REGISTRY.setdefault(wire, cls) is not cls:
            raise TypeError(f"two events are called {wire!r}")


class Unknown(Event):
    """An event of a newer release; it is kept as it is and skipped by folds."""

    name: str
    data: dict[str, Any]


def encode(event: Event) -> dict[str, Any]:
    """The stored form: `{"t": type, "v": version, "d": data}`."""
    return {"t": event.type, "v": event.v, "d": event.model_dump(mode="json")}


def newest(stored: dict[str, Any]) -> Stored:
    """The data in the shape of the newest version."""
    wire, version, data = stored["t"], stored["v"], stored["d"]
    cls = REGISTRY.get(wire)
    if cls is None or version > cls.v:
        return Stored("unknown", {"name": wire, "data": data})
    while version < cls.v:
        data = UPCASTERS[wire, version](data)
        version += 1
    return Stored(wire, data)


def made(stored: Stored) -> Event:
    """Raises ValueError for data that no version ever had."""
    return REGISTRY.get(stored.type, Unknown).model_validate(stored.data)


def decode(stored: dict[str, Any]) -> Event:
    return made(newest(stored))
