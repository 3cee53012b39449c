"""How a source becomes an image: a part for each kind of build."""

from pathlib import Path
from typing import Protocol, assert_never

from slipway.contracts.values import Build, BuiltImage, DockerfileBuild, StaticBuild

from builder.build.job import Job
from builder.builders.dockerfile import Dockerfile
from builder.builders.static import Static


class Builder(Protocol):
    async def build(self, job: Job, root: Path) -> BuiltImage:
        """`root` is the folder of the source, below `job.source`; what is made beside it is below
        `job.folder`. Raises BuildError, EngineAway, EngineRefused."""
        ...


def builder_of(wanted: Build | None) -> Builder:
    """Where nothing is said, the repository has a Dockerfile."""
    match wanted:
        case None:
            return Dockerfile(DockerfileBuild())
        case DockerfileBuild():
            return Dockerfile(wanted)
        case StaticBuild():
            return Static(wanted)
        case _:
            assert_never(wanted)
