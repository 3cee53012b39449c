"""An image that is pulled and runs as it is."""

from dataclasses import dataclass
from typing import ClassVar

from slipway.contracts.values import BuiltImage, ImageSource
from slipway.runtime.engine import EngineRefused

from builder.build import failures
from builder.build.failures import BuildError
from builder.build.job import Job


@dataclass(frozen=True, slots=True)
class Image:
    wanted: ImageSource
    is_built: ClassVar[bool] = False

    async def fetch(self, job: Job) -> BuiltImage:
        """The newest of that name where a registry answers, else the one that is here."""
        began, wanted = job.now(), _tagged(self.wanted.image)
        job.log.say(f"pulling {wanted}")
        here = await job.engine.image(wanted, source=wanted)
        local = here is not None and here.node is not None
        try:
            if not local:
                await job.engine.pull(wanted)
        except EngineRefused as error:
            if here is None:
                raise BuildError(failures.image_unavailable(wanted, str(error))) from error
            job.log.say(f"it can't be pulled ({error}); the one on the server is used")
        found = await job.engine.image(wanted, source=wanted)
        if found is None:
            raise BuildError(failures.image_unavailable(wanted, "it is not there after the pull"))
        if local:
            job.log.say("it is not from a registry; the one on the server is used")
        job.ended("pull", began)
        job.log.say(f"{wanted} is {found.reference}")
        return found


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


async def again(job: Job, image: BuiltImage) -> BuiltImage:
    """One that an earlier deployment ran. Raises BuildError, EngineAway, EngineRefused."""
    found = await job.engine.image(image.reference, source=image.source)
    if found is None and "@" in image.reference:
        job.log.say(f"pulling {image.reference}")
        try:
            await job.engine.pull(image.reference)
        except EngineRefused as error:
            raise BuildError(failures.image_unavailable(image.reference, str(error))) from error
        found = await job.engine.image(image.reference, source=image.source)
    if found is None:
        raise BuildError(failures.image_missing(image.reference))
    job.log.say(f"running {image.reference} again; nothing is built")
    return image
