"""A repository with a Dockerfile."""

from dataclasses import dataclass
from pathlib import Path

from slipway.contracts.values import BuiltImage, DockerfileBuild

from builder.build import failures, render, stages
from builder.build.failures import BuildError
from builder.build.job import Job
from builder.build.variables import of_commit
from builder.builders import buildkit
from builder.builders.remembered import Remembered

_LONGEST = 1024**2
"""Characters of a Dockerfile in which declared arguments are looked for."""


@dataclass(frozen=True, slots=True)
class Dockerfile:
    wanted: DockerfileBuild

    async def build(self, job: Job, root: Path) -> BuiltImage:
        context = job.folder_of(root, self.wanted.context)
        file = job.inside(root, self.wanted.file)
        if file is None and self.wanted.file == "Dockerfile":
            file = job.inside(root, "dockerfile")  # as docker build takes it
        if file is None or not file.is_file():
            raise BuildError(failures.dockerfile_missing(self.wanted.file, _names(root)))
        with file.open(errors="replace") as opened:
            text = opened.read(_LONGEST)
        declared = render.declared_args(text)
        given = {
            name: value
            for name, value in {**of_commit(job.commit), **job.variables}.items()
            if name in declared and name not in job.secret_names
        }
        steps = stages.secret_steps(text)
        marks = stages.marks(steps, job.variables, job.organization, job.mark_key)
        remembered = Remembered(job.settings.work, job.organization, job.deployment)
        changed = remembered.differ(marks)
        remembered.begin(marks)
        image = await buildkit.image(
            job, file=file, context=context, args={**given, **self.wanted.args},
            target=self.wanted.target, anew=stages.anew(steps, changed),
        )  # fmt: skip
        remembered.end(marks)
        return image


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]
