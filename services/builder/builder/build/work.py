"""One build, from the source to an image: each step through an adapter, each failure explained."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.contracts import labels
from slipway.contracts.deployment import DeploymentRequested
from slipway.contracts.values import (
    BuiltImage,
    DockerfileBuild,
    Failure,
    GitCommit,
    GitSource,
    ImageSource,
    StaticBuild,
    Step,
)
from slipway.kernel.clock import Clock
from slipway.runtime.clock import iso
from slipway.runtime.engine import EngineAway

from builder.adapters import addresses, shell
from builder.adapters.engine import Engine, PullFailed
from builder.build import explain, render
from builder.build.log import BuildLog
from builder.build.progress import Progress
from builder.settings import BuilderSettings

_NEEDED = 512 * 1024**2


class Failed(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(slots=True)
class Work:
    """The state of one build; `steps` and `commit` hold what was reached, also when it fails."""

    settings: BuilderSettings
    engine: Engine
    clock: Clock
    log: BuildLog
    organization: str
    deployment: str
    requested: DeploymentRequested
    variables: Mapping[str, str]
    secret_names: frozenset[str]
    steps: tuple[Step, ...] = ()
    commit: GitCommit | None = None
    built: bool = False

    @property
    def folder(self) -> Path:
        return self.settings.work / self.deployment

    async def run(self) -> BuiltImage:
        """Raises Failed. Nothing half made is left, also when cancelled."""
        try:
            await asyncio.to_thread(shutil.rmtree, self.folder, True)
            if self.requested.image is not None:
                self.commit = self.requested.commit
                return await self._again(self.requested.image)
            source = self.requested.specification.settings.source
            if isinstance(source, ImageSource):
                return await self._resolve(source.image)
            return await self._build(source)
        except EngineAway as error:
            raise Failed(explain.engine_away(str(error))) from error
        except OSError as error:
            if error.errno == 28:
                raise Failed(explain.disk_full(str(self.settings.work))) from error
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, self.folder, True)

    async def _again(self, image: BuiltImage) -> BuiltImage:
        found = await self.engine.image(image.reference, source=image.source)
        if found is None and "@" in image.reference:
            self.log.say(f"pulling {image.reference}")
            try:
                await self.engine.pull(image.reference)
            except PullFailed as error:
                raise Failed(explain.image(image.reference, str(error))) from error
            found = await self.engine.image(image.reference, source=image.source)
        if found is None:
            raise Failed(explain.image_missing(image.reference))
        self.log.say(f"running {image.reference} again; nothing is built")
        return image

    async def _resolve(self, name: str) -> BuiltImage:
        """The newest of that name where a registry answers, else the one that is here."""
        began = iso(self.clock.now())
        wanted = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
        self.log.say(f"pulling {wanted}")
        here = await self.engine.image(wanted, source=wanted)
        local = here is not None and here.node is not None
        try:
            if not local:
                await self.engine.pull(wanted)
        except PullFailed as error:
            if here is None:
                raise Failed(explain.image(wanted, str(error))) from error
            self.log.say(f"it can't be pulled ({error}); the one on the server is used")
        found = await self.engine.image(wanted, source=wanted)
        if found is None:
            raise Failed(explain.image(wanted, "it is not there after the pull"))
        if local:
            self.log.say("it is not from a registry; the one on the server is used")
        self.steps = (Step(name="pull", started=began, ended=iso(self.clock.now())),)
        self.log.say(f"{wanted} is {found.reference}")
        return found

    async def _build(self, source: GitSource | ImageSource) -> BuiltImage:
        assert isinstance(source, GitSource)  # noqa: S101
        self.settings.work.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.settings.work).free < _NEEDED:
            raise Failed(explain.disk_full("less than 512 MiB are free"))
        await self._clone(source)
        self.built = True
        root = self._inside(self.folder / "source", source.path)
        wanted = self.requested.specification.settings.build or DockerfileBuild()
        if isinstance(wanted, StaticBuild):
            return await self._static(root, wanted)
        return await self._dockerfile(root, wanted)

    def _inside(self, root: Path, path: str) -> Path:
        """A folder of the repository; links must not lead out of it."""
        found = (root / path).resolve()
        if not found.is_relative_to((self.folder / "source").resolve()) or not found.is_dir():
            raise Failed(explain.folder_missing(path))
        return found

    async def _clone(self, source: GitSource) -> None:
        began = iso(self.clock.now())
        self.log.say(f"cloning {source.url}, branch {source.branch}", "clone")
        control = await self.engine.subnets(labels.control_network(self.settings.instance))
        try:
            pinned = await addresses.pin(
                source.url, allow_private=self.settings.allow_private_sources, control=control
            )
        except addresses.Refused as error:
            raise Failed(explain.address_refused(source.url, str(error))) from error
        except OSError as error:
            words = f"the name can't be resolved: {error}"
            raise Failed(explain.git(source.url, source.branch, words, [])) from error
        folder = str(self.folder / "source")
        env = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "HOME": str(self.settings.work),
        }
        code, output = await shell.run(
            render.clone(source.url, source.branch, folder, pinned), env=env
        )
        if code:
            there = []
            if "not found" in output.lower():
                _, listed = await shell.run(render.branches(source.url, pinned), env=env)
                there = [row.rpartition("refs/heads/")[2] for row in listed.splitlines()]
            if "no space left on device" in output.lower():
                raise Failed(explain.disk_full("while cloning"))
            raise Failed(explain.git(source.url, source.branch, output, there))
        _, described = await shell.run(render.describe_commit(folder), env=env)
        hash_, author, message = described.split("\x00")
        self.commit = GitCommit(hash=hash_, author=author, message=message[:500])
        await asyncio.to_thread(shutil.rmtree, self.folder / "source" / ".git", True)
        self.steps = (Step(name="clone", started=began, ended=iso(self.clock.now())),)
        self.log.say(f"commit {hash_[:12]} of {author}: {message}", "clone")

    async def _static(self, root: Path, wanted: StaticBuild) -> BuiltImage:
        site = self._inside(root, wanted.directory)
        conf = self.folder / "conf"
        conf.mkdir()
        (conf / render.NGINX).write_text(render.nginx_conf(wanted))
        (conf / render.DOCKERFILE).write_text(render.static_dockerfile())
        file = str(conf / render.DOCKERFILE)
        return await self._buildx(DockerfileBuild(), file, site, {}, {"conf": str(conf)})

    async def _dockerfile(self, root: Path, wanted: DockerfileBuild) -> BuiltImage:
        context = self._inside(root, wanted.context)
        file = (root / wanted.file).resolve()
        if not file.is_file() or not file.is_relative_to((self.folder / "source").resolve()):
            raise Failed(explain.dockerfile_missing(wanted.file, _names(root)))
        declared = render.declared_args(file.read_text(errors="replace"))
        args = {
            name: value
            for name, value in self.variables.items()
            if name in declared and name not in self.secret_names
        }
        return await self._buildx(wanted, str(file), context, args, None)

    async def _buildx(
        self,
        wanted: DockerfileBuild,
        file: str,
        context: Path,
        args: Mapping[str, str],
        contexts: Mapping[str, str] | None,
    ) -> BuiltImage:
        names = {name: f"SLIPWAY_BUILD_{index}" for index, name in enumerate(self.variables)}
        iidfile = self.folder / "image-id"
        service = self.requested.service
        repository = labels.image_repository(self.settings.instance, service)
        argv = render.buildx(
            wanted,
            file=file,
            context=str(context),
            tag=f"{repository}:{self.deployment}",
            iidfile=str(iidfile),
            labels={
                labels.INSTANCE: self.settings.instance,
                labels.ORGANIZATION: self.organization,
                labels.SERVICE: service,
                labels.DEPLOYMENT: self.deployment,
            },
            args=args,
            secrets=sorted(names.items()),
            contexts=contexts,
        )
        env = {variable: self.variables[name] for name, variable in names.items()}
        env["HOME"] = str(self.settings.work)
        progress = Progress()
        cloned = self.steps

        def on_line(line: str) -> None:
            self.log.add(progress.feed(line, iso(self.clock.now())))
            self.steps = (*cloned, *progress.steps())

        code, _ = await shell.run(argv, env=env, on_line=on_line)
        if code:
            step = progress.failed()
            if step is not None:
                step = (step[0], self.log.redacted(step[1]), list(map(self.log.redacted, step[2])))
            raise Failed(explain.build(step, list(map(self.log.redacted, progress.text))))
        found = await self.engine.image(iidfile.read_text().strip(), source=None)
        if found is None:
            raise Failed(explain.image_missing("that was just built"))
        self.log.say(f"built {found.reference}")
        return found


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]
