"""From what is asked for to what is to run. Whatever is foreseen to go wrong is explained."""

import asyncio
import errno
import shutil

from slipway.contracts.build import BuildSucceeded
from slipway.contracts.values import BuiltImage
from slipway.contracts.workload import Workloads
from slipway.runtime.engine import EngineAway, EngineRefused

from builder.adapters.containers import NotReady
from builder.build import failures
from builder.build.failures import BuildError
from builder.build.job import Job
from builder.build.variables import of_commit
from builder.kinds import kind_of
from builder.sources.image import again
from builder.workloads import workloads_of


async def work(job: Job) -> Workloads | BuildSucceeded:
    """The outcome of the build that is repeated, or new workloads. Raises BuildError. Nothing half
    made is left, also when cancelled."""
    try:
        await asyncio.to_thread(shutil.rmtree, job.folder, True)
        if job.former is not None and job.former[1]:
            return await _again(job, job.former[0])
        specification = job.requested.specification
        if job.former is not None:
            images = await _images_again(job, job.former[0])
        else:
            images = await kind_of(specification).images(job)
        variables = {**of_commit(job.commit), **job.variables}
        return workloads_of(specification, images, variables)
    except NotReady as error:
        raise BuildError(failures.not_ready(str(error))) from error
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


async def _images_again(job: Job, former: BuildSucceeded) -> dict[str, BuiltImage]:
    job.commit = former.commit
    return {built.name: await again(job, built.image) for built in former.workloads}


async def _again(job: Job, former: BuildSucceeded) -> BuildSucceeded:
    await _images_again(job, former)
    return former
