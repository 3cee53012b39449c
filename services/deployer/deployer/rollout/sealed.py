"""The workloads of a deployment, as the builder has sealed them."""

import asyncio
import hashlib

from slipway.contracts.build import WorkloadsObject
from slipway.contracts.workload import Workloads, from_json
from slipway.eventstore.objects import Damaged, Objects
from slipway.sealing import Opener, OrganizationKey


class Missing(Exception):
    """They are not there any more, are others than the log says, or a newer release's."""


class SealedWorkloads:
    def __init__(self, objects: Objects, opener: Opener) -> None:
        self._objects, self._opener = objects, opener

    async def opened(self, organization: str, where: WorkloadsObject) -> Workloads:
        """Raises CannotOpen and Missing."""
        try:
            data = await self._objects.get(where.name)
        except Damaged as error:
            raise Missing(f"the object can't be read: {error}") from error
        if data is None:
            raise Missing(f"there is no object {where.name}")
        key = await self._opener.for_organization(organization)
        return await asyncio.to_thread(_opened, key, data, where)


def _opened(key: OrganizationKey, data: bytes, where: WorkloadsObject) -> Workloads:
    """In a thread: there may be megabytes of it."""
    if hashlib.sha256(data).hexdigest() != where.hash:
        raise Missing(f"the object {where.name} is another than the build has made")
    plain = key.open_object(data, where.name)
    try:
        return from_json(plain)
    except ValueError:  # whose words may have what is secret
        raise Missing(f"the object {where.name} can't be read by this release") from None
