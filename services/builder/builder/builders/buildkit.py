"""BuildKit makes an image of a Dockerfile and a context; builders share it."""

from collections.abc import Mapping
from pathlib import Path

from slipway.contracts import labels
from slipway.contracts.values import BuiltImage, Failure

from builder.build import failures, render
from builder.build.failures import BuildError
from builder.build.job import Job
from builder.build.progress import Progress


async def image(
    job: Job,
    *,
    file: Path,
    context: Path,
    args: Mapping[str, str] | None = None,
    target: str | None = None,
    contexts: Mapping[str, str] | None = None,
) -> BuiltImage:
    """`contexts`: folders by the name that the Dockerfile knows them by. Every variable of the
    deployment is there as a secret. Raises BuildError."""
    names = {name: f"SLIPWAY_BUILD_{index}" for index, name in enumerate(job.variables)}
    iidfile = job.folder / "image-id"
    argv = render.buildx(
        file=str(file),
        context=str(context),
        tag=_tag(job),
        iidfile=str(iidfile),
        labels=_labels(job),
        args=args or {},
        secrets=sorted(names.items()),
        contexts=contexts,
        target=target,
    )
    env = {variable: job.variables[name] for name, variable in names.items()}
    env["HOME"] = str(job.settings.work)
    progress = job.progress = Progress(job.log.redacted)

    def on_line(line: str) -> None:
        job.log.add(progress.feed(line, job.now()))

    code, _ = await job.run(argv, env=env, on_line=on_line)
    if code:
        raise BuildError(_failure(job, progress))
    found = await job.engine.image(iidfile.read_text().strip(), source=None)
    if found is None:
        raise BuildError(failures.image_missing("that was just built"))
    job.log.say(f"built {found.reference}")
    return found


def _tag(job: Job) -> str:
    repository = labels.image_repository(job.settings.instance, job.requested.service)
    return f"{repository}:{job.deployment}"


def _labels(job: Job) -> dict[str, str]:
    return {
        labels.INSTANCE: job.settings.instance,
        labels.ORGANIZATION: job.organization,
        labels.SERVICE: job.requested.service,
    }


def _failure(job: Job, progress: Progress) -> Failure:
    step, redacted = progress.failed(), job.log.redacted
    if step is not None:
        step = (step[0], redacted(step[1]), list(map(redacted, step[2])))
    return failures.build(step, list(map(redacted, progress.text)))
