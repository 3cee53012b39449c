"""The base of every event, and the registry by its wire name."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.kernel.envelope import Stored

type Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UNKNOWN = "unknown"
REGISTRY: dict[str, type["Event"]] = {}
UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, from version) → a pure function to the next version's data."""


STORED = object()
"""The context in which what was stored is read: validators that no JSON Schema shows, and which may
become stricter, hold only for what is said anew."""

PUBLIC = object()
"""The context in which what may leave the installation is written: without what is sealed."""

_set = object.__setattr__
"""Values are frozen."""

_VALUES: set[type] = set()
"""All classes of values."""
_SET: dict[frozenset[str], set[str]] = {}
"""Names of fields → the one set of them that many values share. It is never changed."""


class Value(BaseModel):
    """A frozen value inside events. Making one with an unknown field is an error: a misspelt one
    must not vanish. `from_stored` ignores such fields: a newer program may have written them. An
    error says where and what is wrong, not with which value: it may be secret, and is logged."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        _VALUES.add(cls)

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """From what was stored as JSON. Raises ValidationError, a ValueError."""
        return cls.model_validate(stored, extra="ignore", context=STORED)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, in less time: folds copy much. A value has neither
        private attributes nor fields beyond its own, and which were set is never changed."""
        if deep:
            return super().model_copy(update=update, deep=deep)
        copied = self.__new__(type(self))
        is_set = self.__pydantic_fields_set__
        _set(copied, "__dict__", {**self.__dict__, **(update or {})})
        if update and not update.keys() <= is_set:
            is_set = is_set | update.keys()
        _set(copied, "__pydantic_fields_set__", is_set)
        _set(copied, "__pydantic_extra__", None)
        _set(copied, "__pydantic_private__", None)
        return copied


def lasting(value: Value) -> None:
    """For values of which many are held: which fields were set is kept once for all that are alike,
    and not with each of them, where it takes as much memory as all else."""
    is_set = value.__pydantic_fields_set__
    _set(value, "__pydantic_fields_set__", _SET.setdefault(frozenset(is_set), is_set))
    inner: list[Any] = [*value.__dict__.values()]
    for each in inner:
        kind = each.__class__
        if kind in _VALUES:
            lasting(each)
        elif kind is tuple or kind is dict:
            inner.extend(each.values() if kind is dict else each)


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
        if wire is None or wire == UNKNOWN:
            return
        if REGISTRY.setdefault(wire, cls) is not cls:
            raise TypeError(f"two events are called {wire!r}")


class Unknown(Event):
    """An event of a newer release: its type, its version, a literal or an alternative in it isn't
    known here. It is kept as it is and skipped by folds. `name` is what its own `type` would be."""

    type = UNKNOWN
    name: str
    data: dict[str, Any]


class NewerRelease(Exception):
    """A newer release wrote it. It can't be read here, so nothing follows from it: not even that
    there is nothing."""


def readable[E: Event](last: Event | None, cls: type[E]) -> E | None:
    """The last event of an aggregate whose state it carries; None where it is another, or there is
    none. Raises NewerRelease."""
    if isinstance(last, Unknown):
        raise NewerRelease(f"{last.name} was written by a newer release and can't be read by this")
    return last if isinstance(last, cls) else None


def encode(event: Event) -> dict[str, Any]:
    """The stored form: `{"t": type, "v": version, "d": data}`."""
    return {"t": event.type, "v": event.v, "d": event.model_dump(mode="json")}


def newest(stored: dict[str, Any]) -> Stored:
    """The data in the shape of the newest version."""
    wire, version, data = stored["t"], stored["v"], stored["d"]
    cls = REGISTRY.get(wire)
    if cls is None or version > cls.v:
        return Stored(UNKNOWN, {"name": wire, "data": data})
    while version < cls.v:
        data = UPCASTERS[wire, version](data)
        version += 1
    return Stored(wire, data)


def made(stored: Stored) -> Event:
    """Raises ValueError for data that no version ever had."""
    try:
        return REGISTRY.get(stored.type, Unknown).from_stored(stored.data)
    except ValidationError as error:
        if not _newer(error):
            raise
        return Unknown(name=stored.type, data=stored.data)


def _newer(error: ValidationError) -> bool:
    """Whether all that is wrong is a literal, or the kind of a value, that this program doesn't
    know. Of a value of unknown kind nothing else is looked at."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    unknown = [
        fault["loc"][:-1] if fault["loc"][-1:] == ("kind",) else fault["loc"]
        for fault in faults
        if fault["type"] in {"literal_error", "union_tag_invalid"}
    ]
    return all(any(fault["loc"][: len(at)] == at for at in unknown) for fault in faults)


def decode(stored: dict[str, Any]) -> Event:
    return made(newest(stored))
