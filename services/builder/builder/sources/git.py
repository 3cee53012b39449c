"""A git repository, cloned in the organization's own network."""

import asyncio
import re
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from slipway.contracts import labels
from slipway.contracts.logs import LogLine
from slipway.contracts.values import ApplicationSettings, DockerfileBuild, GitCommit, GitSource
from slipway.runtime.logging import logger

from builder.build.failures import BuildError
from builder.build.job import Job
from builder.build.watched import crowded, watched
from builder.cloning.order import Cloned, Order, refused
from builder.sources import failures

_TRIES = 2
"""So often a clone is begun that ends without a word."""
_KEEP = "BUILDKIT_CONTEXT_KEEP_GIT_DIR"
_CREDENTIALS = re.compile(r"//[^/?#\s]*@")
"""In addresses: the repository's own, and those that it names."""


@dataclass(frozen=True, slots=True)
class Git:
    wanted: GitSource
    is_built: ClassVar[bool] = True

    async def fetch(self, job: Job) -> Path:
        job.settings.work.mkdir(parents=True, exist_ok=True)
        await job.room()
        wanted, began = self.wanted, job.now()
        order = Order(
            wanted.url, wanted.branch, wanted.tag, wanted.commit, history=_with_history(job)
        )
        if why := refused(order.url):
            raise BuildError(failures.address_refused(_without(order.url), why))
        job.log.say(f"cloning {order.url}, {order.wanted}", "clone")
        found = await self._cloned(job, order)
        commit = job.commit = GitCommit(
            hash=found.hash,
            author=found.author,
            message=found.message[:500],
            branch=found.branch,
        )
        job.ended("clone", began)
        job.log.say(f"commit {commit.hash[:12]} of {commit.author}: {commit.message}", "clone")
        return job.folder_of(job.source, self.wanted.path)

    @staticmethod
    async def _cloned(job: Job, order: Order) -> Cloned:
        """Raises BuildError. Where it is cloned may end at any time; then it is begun once more."""

        def tell(progress: str) -> None:
            line = LogLine(at=job.now(), stream="stderr", step="clone", text=_without(progress))
            job.log.add([line])

        sample = urlsplit(order.url).hostname == labels.SAMPLE
        for left in reversed(range(_TRIES)):
            await asyncio.to_thread(shutil.rmtree, job.source, True)
            kits = job.buildkits
            async with kits.cloning(job.organization, job.limits, sample=sample) as place:
                look = partial(kits.processes, place.container)
                words = partial(failures.process_limit, order.url)
                found = await watched(
                    job.clone(place.container, order, job.source, tell),
                    crowded(look, place.processes, job.clock, words),
                )
            if isinstance(found, Cloned):
                return found
            found = replace(found, output=_without(found.output))
            if found.why == "ended":
                logger(organization=job.organization).warning("a clone ended", said=found.output)
            if found.why != "ended" or not left:
                raise BuildError(failures.not_cloned(order, found, place.memory))
            job.log.say("the clone ended before its end; once more", "clone")
        raise AssertionError


def _without(text: str) -> str:
    """Without names and passwords in addresses."""
    return _CREDENTIALS.sub("//", text)


def _with_history(job: Job) -> bool:
    """A Dockerfile that asks for `.git`, by the argument that Docker has for it, gets it."""
    match job.requested.specification.settings:
        case ApplicationSettings(build=DockerfileBuild(args=args)):
            return args.get(_KEEP, "").lower() in ("1", "t", "true")
        case _:
            return False
