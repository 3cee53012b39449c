"""A branch of a git repository, cloned."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from slipway.contracts import labels
from slipway.contracts.values import GitCommit, GitSource

from builder.adapters import addresses
from builder.adapters.shell import ProgramSilent
from builder.build import failures, render
from builder.build.failures import BuildError
from builder.build.job import Job

_SILENCE = 60.0
"""Seconds. git tells its progress while anything moves, so nothing moves when it is silent."""


@dataclass(frozen=True, slots=True)
class Git:
    wanted: GitSource
    is_built: ClassVar[bool] = True

    async def fetch(self, job: Job) -> Path:
        job.settings.work.mkdir(parents=True, exist_ok=True)
        await job.room()
        url, began = self.wanted.url, job.now()
        job.log.say(f"cloning {url}, branch {self.wanted.branch}", "clone")
        pinned = await self._pinned(job)
        try:
            await self._clone(job, pinned)
        except ProgramSilent as error:
            raise BuildError(failures.git_silent(url, _SILENCE)) from error
        commit = job.commit = await self._commit(job)
        await asyncio.to_thread(shutil.rmtree, job.source / ".git", True)
        job.ended("clone", began)
        job.log.say(f"commit {commit.hash[:12]} of {commit.author}: {commit.message}", "clone")
        return job.folder_of(job.source, self.wanted.path)

    async def _pinned(self, job: Job) -> str:
        url = self.wanted.url
        control = await job.engine.subnets(labels.control_network(job.settings.instance))
        try:
            return await addresses.pin(
                url, allow_private=job.settings.allow_private_sources, control=control
            )
        except addresses.AddressRefused as error:
            raise BuildError(failures.address_refused(url, str(error))) from error
        except OSError as error:
            words = f"the name can't be resolved: {error}"
            raise BuildError(failures.git(url, self.wanted.branch, words, [])) from error

    async def _clone(self, job: Job, pinned: str) -> None:
        url, branch = self.wanted.url, self.wanted.branch
        argv = render.clone(url, branch, str(job.source), pinned)
        code, output = await job.run(argv, env=_environment(job), silence=_SILENCE)
        if not code:
            return
        there = []
        if "not found" in output.lower():
            argv = render.branches(url, pinned)
            _, listed = await job.run(argv, env=_environment(job), silence=_SILENCE)
            there = [row.rpartition("refs/heads/")[2] for row in listed.splitlines()]
        if "no space left on device" in output.lower():
            raise BuildError(failures.disk_full("while cloning"))
        raise BuildError(failures.git(url, branch, output, there))

    @staticmethod
    async def _commit(job: Job) -> GitCommit:
        argv = render.describe_commit(str(job.source))
        _, described = await job.run(argv, env=_environment(job))
        hash_, author, message, *_ = (*described.split("\x00", 2), "", "")
        return GitCommit(hash=hash_, author=author, message=message[:500])


def _environment(job: Job) -> dict[str, str]:
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "HOME": str(job.settings.work),
    }
