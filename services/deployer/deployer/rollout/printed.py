"""What programs of a rollout print, on its way into the log: bounded, and without secrets."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from slipway.contracts.clipping import clipped
from slipway.contracts.frames import RawLine
from slipway.contracts.logs import LogLine, job_log
from slipway.contracts.rollout import Release, Released
from slipway.eventstore.objects import Objects
from slipway.runtime.logging import logger

from deployer.rollout import explain
from deployer.rollout.domain import View
from deployer.rollout.masks import Mask, Masks
from deployer.rollout.releases import Owner

MOST = 1 << 20
"""Bytes that are kept of what a job prints."""
_LONGEST = 4000
"""Bytes of a line, as stored."""
_PATIENCE = 5.0
"""Seconds that output may take: nothing waits longer for it."""


class Outputs(Protocol):
    async def last(self, container: str, count: int) -> list[str]:
        """Lines; none where that can't be read."""
        ...

    async def first(self, container: str, most: int) -> tuple[Sequence[RawLine], bool]:
        """The lines until they take more than `most` bytes, and whether these are all so far.
        Raises EngineAway, EngineMissing, EngineRefused."""
        ...


class Printed:
    def __init__(self, masks: Masks, outputs: Outputs, archive: Objects) -> None:
        self.masks, self._outputs, self._archive = masks, outputs, archive

    async def last(self, owner: Owner, view: View, release: Release) -> Sequence[str]:
        """The last lines of the first of its new tasks that has printed anything."""
        own = sorted(each.swarm_service for each in release.workloads if not each.carried)
        there = [view.there[name] for name in own if name in view.there]
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                for task in [task for found in there for task in found.tasks]:
                    if lines := await self._outputs.last(task.container, explain.LAST):
                        mask = await self.masks.of(owner[0], release)
                        return await asyncio.to_thread(_masked, mask, lines)
        return ()

    async def keep(self, owner: Owner, view: View, release: Release, job: Released) -> None:
        """What a job has printed until now, once: parts of another would stand under the same end.
        Nothing fails for it: what can't be read, or stored, is left out, and its log says so."""
        there = view.there.get(job.swarm_service)
        containers = [task.container for task in there.tasks if task.container] if there else []
        if not containers:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                name = job_log(release.deployment, job.name)
                if await self._archive.get(name) is not None:
                    return
                lines, all_ = await self._outputs.first(containers[0], MOST)
                mask = await self.masks.of(owner[0], release)
                rows = await asyncio.to_thread(_rows, mask, lines, all_, job.name)
                await self._archive.put(name, rows)
        except Exception as error:
            logger(service=owner[1], job=job.name).warning(
                "what a job printed is not kept", why=repr(error)[:300]
            )


def _masked(mask: Mask, lines: Sequence[str]) -> list[str]:
    return mask("\n".join(lines)).split("\n")


def _rows(mask: Mask, lines: Sequence[RawLine], all_: bool, job: str) -> bytes:
    texts = _masked(mask, [line.text for line in lines]) if lines else []
    told = [
        LogLine(at=line.at, stream=line.stream, step=job, text=clipped(text, _LONGEST))
        for line, text in zip(lines, texts, strict=True)
    ]
    if not all_:
        kept = f"of a job's output {MOST / 2**20:g} MiB are kept; the log of the service has more"
        told.append(LogLine(at=lines[-1].at if lines else "", stream="system", step=job, text=kept))
    return b"\n".join(line.model_dump_json().encode() for line in told)
