"""An image that runs as it is. It is copied into the registry by the organization's BuildKit: the
engine takes nothing from elsewhere, and nothing that lies in its own store."""

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar

from slipway.contracts.values import BuiltImage, Failure, ImageSource
from slipway.runtime.engine import EngineRefused

from builder.build import failures, render
from builder.build.failures import BuildError
from builder.build.job import Job
from builder.build.progress import Progress
from builder.builders import buildkit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
"""Nothing that a Dockerfile reads otherwise."""


@dataclass(frozen=True, slots=True)
class Image:
    wanted: ImageSource
    is_built: ClassVar[bool] = False

    async def fetch(self, job: Job) -> BuiltImage:
        """What that name stands for now."""
        began, name = job.now(), _tagged(self.wanted.image)
        if not _NAME.fullmatch(name):
            raise BuildError(failures.image_unavailable(name, "that is no name of an image"))
        job.log.say(f"pulling {name}")
        place = hashlib.sha256(name.encode()).hexdigest()[:12]
        folder = job.folder / f"copied-{place}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / render.DOCKERFILE
        file.write_text(f"FROM {name}\n")
        wanted = render.Wanted(
            file, folder, f"{job.deployment}-{place}", labels=buildkit.owner(job)
        )
        progress = Progress(job.log.redacted)
        digest = await buildkit.made(job, wanted, {}, progress)
        if isinstance(digest, Failure):
            raise BuildError(_unavailable(name, digest, progress))
        found = await buildkit.fetched(job, digest, source=name)
        job.ended("pull", began)
        job.log.say(f"{name} is {found.reference}")
        return found


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def _unavailable(name: str, failure: Failure, progress: Progress) -> Failure:
    if failure.reason not in ("base-image-missing", "build-failed"):
        return failure
    step = progress.failed()
    return failures.image_unavailable(name, step[1] if step else failure.detail)


async def again(job: Job, image: BuiltImage) -> BuiltImage:
    """One that an earlier deployment ran. Raises BuildError, EngineAway, EngineRefused."""
    if await job.engine.image(image.reference, source=image.source) is None:
        await job.room()
        job.log.say(f"fetching {image.reference}")
        try:
            await job.engine.pull(image.reference)
        except EngineRefused as error:
            raise BuildError(failures.image_missing(image.reference)) from error
    job.log.say(f"running {image.reference} again; nothing is built")
    return image
