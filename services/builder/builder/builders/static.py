"""Files that a web server serves as they are."""

from dataclasses import dataclass
from pathlib import Path

from slipway.contracts.values import BuiltImage, StaticBuild

from builder.build import render
from builder.build.job import Job
from builder.builders import buildkit


@dataclass(frozen=True, slots=True)
class Static:
    wanted: StaticBuild

    async def build(self, job: Job, root: Path) -> BuiltImage:
        site = job.folder_of(root, self.wanted.directory)
        conf = job.folder / "conf"
        conf.mkdir()
        (conf / render.NGINX).write_text(render.nginx_conf(self.wanted))
        file = conf / render.DOCKERFILE
        file.write_text(render.static_dockerfile())
        return await buildkit.image(job, file=file, context=site, contexts={"conf": str(conf)})
