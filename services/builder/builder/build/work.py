"""From what is asked for to an image. Whatever is foreseen to go wrong is explained."""

import asyncio
import errno
import shutil

from slipway.contracts.values import BuiltImage
from slipway.runtime.engine import EngineAway, EngineRefused

from builder.build import failures
from builder.build.failures import BuildError
from builder.build.job import Job
from builder.builders import builder_of
from builder.sources import source_of
from builder.sources.image import again


async def work(job: Job) -> BuiltImage:
    """Raises BuildError. Nothing half made is left, also when cancelled."""
    try:
        await asyncio.to_thread(shutil.rmtree, job.folder, True)
        return await _image(job)
    except EngineAway as error:
        raise BuildError(failures.engine_away(str(error))) from error
    except EngineRefused as error:
        raise BuildError(failures.engine_refused(str(error))) from error
    except OSError as error:
        match error.errno:
            case errno.ENOSPC:
                raise BuildError(failures.disk_full(str(job.settings.work))) from error
            case errno.E2BIG:
                raise BuildError(failures.variables_too_large()) from error
            case _:
                raise
    finally:
        await asyncio.to_thread(shutil.rmtree, job.folder, True)


async def _image(job: Job) -> BuiltImage:
    if job.requested.image is not None:
        job.commit = job.requested.commit
        return await again(job, job.requested.image)
    settings = job.requested.specification.settings
    found = await source_of(settings.source).fetch(job)
    if isinstance(found, BuiltImage):
        return found
    job.built = True
    return await builder_of(settings.build).build(job, found)
