"""The organization's BuildKit makes an image of a Dockerfile and a context, and pushes it to the
registry; builders share it, and so do sources that copy an image."""

import base64
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from slipway.contracts import labels, registry
from slipway.contracts.values import BuiltImage, Failure

from builder.build import failures, render
from builder.build.failures import BuildError
from builder.build.job import BuildKit, Job
from builder.build.progress import Progress
from builder.build.room import overflowing
from builder.build.watched import crowded, watched

_TRIES = 2
"""So often a build is begun whose BuildKit ends in the middle of it."""


async def image(
    job: Job,
    *,
    file: Path,
    context: Path,
    args: Mapping[str, str] | None = None,
    target: str | None = None,
    contexts: Mapping[str, str] | None = None,
    anew: str | None = None,
) -> BuiltImage:
    """`contexts`: folders by the name that the Dockerfile knows them by; `anew`: see
    `stages.anew`. Every variable of the
    deployment is there as a secret. Raises BuildError, NotReady, EngineAway, EngineRefused."""
    names = {name: f"SLIPWAY_BUILD_{index}" for index, name in enumerate(job.variables)}
    wanted = render.Wanted(
        file=file,
        context=context,
        tag=job.deployment,
        labels=owner(job),
        args=args or {},
        secrets=sorted(names.items()),
        contexts=contexts or {},
        target=target,
        anew=anew,
    )
    env = {variable: job.variables[name] for name, variable in names.items()}
    progress = job.progress = Progress(job.log.redacted)
    digest = await made(job, wanted, env, progress)
    if isinstance(digest, Failure):
        raise BuildError(digest)
    found = await fetched(job, digest, source=None)
    job.log.say(f"built {found.reference}")
    return found


async def made(
    job: Job, wanted: render.Wanted, env: Mapping[str, str], progress: Progress
) -> str | Failure:
    """The digest in the registry; or why there is none."""

    def on_line(line: str) -> None:
        job.log.add(progress.feed(line, job.now()))

    await job.room()
    metadata = job.folder / "metadata.json"
    for left in reversed(range(_TRIES)):
        async with job.buildkits.taken(job.organization, job.limits, job.waiting) as buildkit:
            address = f"docker-container://{buildkit.container}"
            argv = render.buildctl(wanted, address, _image(job, buildkit), metadata)
            own = {
                "HOME": str(job.settings.work),
                "DOCKER_CONFIG": _signed_in(job, buildkit),
                # A registry names the address that gives out its tokens: BuildKit is to ask there,
                # behind the guard's rules, and not its client, which is here.
                "BUILDKIT_NO_CLIENT_TOKEN": "true",
            }
            prune = partial(job.run, render.prune(address), env=own)
            look = partial(job.buildkits.processes, buildkit.container)
            code, _ = await watched(
                job.run(argv, env={**env, **own}, on_line=on_line),
                overflowing(job.disk, buildkit, prune, job.clock),
                crowded(look, buildkit.processes, job.clock, failures.process_limit),
            )
            if not code:
                return json.loads(metadata.read_text())["containerimage.digest"]
            end = await job.buildkits.ended(buildkit)
        if end == "memory":
            return failures.out_of_memory(_failure(job, progress), buildkit.memory)
        if end is None:
            return failures.with_process_limit(_failure(job, progress), buildkit.processes)
        what = "registry" if end == "registry" else "organization's BuildKit"
        if not left:
            return failures.ended(what, _TRIES)
        job.log.say(f"the {what} ended in the middle of the build; once more")
        progress.clear()
    raise AssertionError


async def fetched(job: Job, digest: str, *, source: str | None) -> BuiltImage:
    """It is on the node that runs it, before anything is stopped for it."""
    reference = f"{_repository(job)}@{digest}"
    await job.engine.pull(reference)
    found = await job.engine.image(reference, source=source)
    if found is None:
        raise BuildError(failures.image_missing(reference))
    return found


def _repository(job: Job) -> str:
    return registry.repository(job.organization, job.requested.service)


def _image(job: Job, buildkit: BuildKit) -> str:
    return f"{buildkit.registry}/{_repository(job)}"


def _signed_in(job: Job, buildkit: BuildKit) -> str:
    """The folder of a client's configuration: the BuildKit asks it for the password."""
    folder = job.folder / "client"
    folder.mkdir(parents=True, exist_ok=True)
    said = f"{buildkit.account.user}:{buildkit.account.password}"
    auth = {"auth": base64.b64encode(said.encode()).decode()}
    (folder / "config.json").write_text(json.dumps({"auths": {buildkit.registry: auth}}))
    return str(folder)


def owner(job: Job) -> dict[str, str]:
    """Labels by which the images of a service are found on the engine when it goes."""
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
