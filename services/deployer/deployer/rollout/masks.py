"""What takes a deployment's secrets out of texts, held while it is rolled out."""

import asyncio
from collections.abc import Callable

from slipway.contracts.redact import MASK, Redactor
from slipway.contracts.rollout import Release
from slipway.sealing import CannotOpen

from deployer.rollout.sealed import Missing, SealedWorkloads

_MOST = 64 << 20
"""Bytes of all that are held; the last one is, whatever it takes."""
_AGAIN = 10.0
"""Seconds after which is tried once more what couldn't be opened."""

type Mask = Callable[[str], str]


class Masks:
    def __init__(self, sealed: SealedWorkloads, most: int = _MOST) -> None:
        self._sealed, self._most = sealed, most
        self._held: dict[str, Redactor] = {}
        """By deployment, the one asked for last at the end."""
        self._closed: dict[str, float] = {}
        """Until when nothing is shown of those that couldn't be opened."""

    async def of(self, organization: str, release: Release) -> Mask:
        """Leaves nothing of a text where it can't be known what is secret."""
        deployment, now = release.deployment, asyncio.get_running_loop().time()
        if self._closed.get(deployment, now) > now:
            return nothing
        mask = self._held.pop(deployment, None) or await self._made(organization, release)
        if mask is None:
            self._closed[deployment] = now + _AGAIN
            return nothing
        self._closed.pop(deployment, None)
        self._held[deployment] = mask
        while len(self._held) > 1 and sum(held.size for held in self._held.values()) > self._most:
            del self._held[next(iter(self._held))]
        return mask

    def drop(self, deployment: str) -> None:
        """Its turn is over."""
        self._held.pop(deployment, None)
        self._closed.pop(deployment, None)

    async def _made(self, organization: str, release: Release) -> Redactor | None:
        try:
            workloads = await self._sealed.opened(organization, release.sealed)
        except (CannotOpen, Missing):
            return None
        if workloads.hidden is None:
            return None
        return await asyncio.to_thread(Redactor, workloads.hidden)


def nothing(text: str) -> str:
    """Line by line, as a `Redactor` leaves them."""
    return "\n".join(MASK if line else line for line in text.split("\n"))
