"""Where what is deployed comes from: a part for each kind of source."""

from pathlib import Path
from typing import ClassVar, Protocol, assert_never

from slipway.contracts import values
from slipway.contracts.values import BuiltImage

from builder.build.job import Job
from builder.sources.git import Git
from builder.sources.image import Image


class Source(Protocol):
    is_built: ClassVar[bool]
    """Whether it is built, and waits for its turn among the builds."""

    async def fetch(self, job: Job) -> Path | BuiltImage:
        """The folder that is to be built, below `job.source`; or an image that runs as it is.
        Raises BuildError, EngineAway, EngineRefused."""
        ...


def source_of(wanted: values.Source) -> Source:
    match wanted:
        case values.GitSource():
            return Git(wanted)
        case values.ImageSource():
            return Image(wanted)
        case _:
            assert_never(wanted)
