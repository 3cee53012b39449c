"""What a feature gives to the gateway. Each folder declares its own in `manifest.py`; `app.py`
collects them, and nothing else knows them all."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from slipway.eventstore.store import Commit
from slipway.kernel.decider import Decider
from slipway.readmodel.model import Projection
from slipway.runtime.reactor import NoFact

from api_gateway import fold_version
from api_gateway.gateway import Gateway, Memory
from api_gateway.roles import Need

type React = Callable[[Gateway, Commit], Awaitable[None]]
type Dead = Callable[[Gateway, Commit, Exception], Awaitable[None]]
type Work = Callable[[Gateway], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Feature:
    needs: Mapping[str, Need] = field(default_factory=dict)
    """Operation (the name of its function) → the right that it takes."""
    routers: tuple[APIRouter, ...] = ()
    deciders: tuple[Decider[Any, Any, Any], ...] = ()
    projections: tuple[Projection, ...] = ()
    memories: tuple[Memory, ...] = ()
    """What it keeps in memory."""
    react: React | None = None
    """Whenever something was appended. It is tried again as often as `retry.REACTION` says,
    and then given up."""
    dead: Dead | None = None
    """When `react` was given up: appends the fact that says so. Raises NoFact where there is none;
    the commit becomes a dead letter."""
    work: tuple[Work, ...] = ()
    """What goes on for ever beside requests and reactions."""


class Features:
    """All of them together, in the order in which they react."""

    def __init__(self, *features: Feature) -> None:
        self._features = features
        self.needs: dict[str, Need] = {}
        for feature in features:
            self.needs |= feature.needs
        self.routers = _all(feature.routers for feature in features)
        self.deciders = _all(feature.deciders for feature in features)
        self.projections = _all(feature.projections for feature in features)
        self.memories = _all(feature.memories for feature in features)
        self.work = _all(feature.work for feature in features)
        _once("operation", (name for feature in features for name in feature.needs))
        _once("category", (decider.category for decider in self.deciders))
        _once("collection", (projection.collection for projection in self.projections))

    @property
    def version(self) -> str:
        """Changes when what is folded, or how, does: the documents are built anew then."""
        return fold_version.combined(self.projections)

    async def react(self, gateway: Gateway, commit: Commit) -> None:
        for feature in self._features:
            if feature.react is not None:
                await feature.react(gateway, commit)

    async def dead(self, gateway: Gateway, commit: Commit, error: Exception) -> None:
        """Raises NoFact where no feature has a fact for it."""
        for feature in self._features:
            if feature.dead is not None:
                try:
                    await feature.dead(gateway, commit, error)
                except NoFact:
                    continue
                return
        raise NoFact


def _all[T](parts: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(item for part in parts for item in part)


def _once(what: str, names: Iterable[str]) -> None:
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(f"{what} in two manifests: {', '.join(twice)}")
