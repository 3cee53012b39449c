"""Asking: one task through the proxy by a router that only a secret header matches, and after a
switch the public addresses as anybody would."""

from dataclasses import replace
from typing import Any, Protocol

from slipway.contracts.rollout import Release
from slipway.contracts.route import Binding
from slipway.contracts.values import Failure
from slipway.kernel.clock import Clock

from proxy_sync.routing import explain
from proxy_sync.routing.domain import Answers, Probe, Routing, View

_PATIENCE = 10.0
_PAUSES = (0.2, 0.5, None)
"""Seconds after which a public address is asked once more; None: no more."""


class NotLoaded(Exception):
    """The proxy did not take the configuration in time."""


class Answer(Protocol):
    def good(self, *, strict: bool) -> bool: ...
    def said(self, path: str) -> str: ...


class Proxy(Protocol):
    """What of Traefik routing needs; `Traefik` does it for real."""

    def write(self, name: str, document: dict[str, Any]) -> None:
        """An empty document removes the file."""
        ...

    def names(self) -> set[str]:
        """Of all documents that are there."""
        ...

    async def loaded(self, service: str, document: dict[str, Any]) -> None:
        """Returns once the proxy has loaded this very document. Raises NotLoaded."""
        ...

    async def probe(
        self, task: str, port: int, attempt: str, host: str, path: str, seconds: float
    ) -> Answer: ...

    async def public(self, host: str, path: str, seconds: float) -> Answer: ...


def release_of(view: View, probe: Probe) -> Release | None:
    for release in (view.rollout.wanted, view.rollout.serving):
        if release is not None and f"{release.deployment}.{release.attempt}" == probe.attempt:
            return release
    return None


def asked_for(view: View, release: Release | None, probe: Probe) -> tuple[str, str, bool]:
    """(path, host, whether it is the health check's) of a probe: the health check's path on the
    workload's own port, else the path under which the port is public."""
    program = release.program(probe.workload) if release else None
    own = program.port if program else None
    bound = [
        each
        for each in view.bound
        if (each.port or own) == probe.port
        and release is not None
        and release.program(each.workload) == program
    ]
    host = bound[0].host if bound else "localhost"
    if program is not None and own == probe.port:
        return program.health_path or "/", host, program.health_path is not None
    return (bound[0].path if bound else "/"), host, False


async def ask(proxy: Proxy, view: View, probe: Probe) -> tuple[bool, str]:
    """(whether the answer was good, what it was). What can't even be asked is a bad answer: it is
    this one service's."""
    path, host, checked = asked_for(view, release_of(view, probe), probe)
    try:
        answer = await proxy.probe(
            probe.task, probe.port, probe.attempt, host, path, seconds=_PATIENCE
        )
    except Exception as error:
        return False, f"GET {path} could not be asked ({type(error).__name__})"
    return answer.good(strict=checked), answer.said(path)


def after(before: Answers, now: float, good: bool, said: str) -> Answers:
    if not good:
        return replace(before, last=now, bad=before.bad + 1, text=said)
    since = before.good_since if before.good_since and not before.bad else now
    return Answers(good_since=since, last=now)


def _public_path(binding: Binding, release: Release | None) -> str:
    """That of the health check, where it leads to the same port: the program's own `/` may answer
    badly, and be healthy."""
    program = release.program(binding.workload) if release else None
    checked = program.health_path if program and program.port == binding.port else None
    beneath = checked and (checked + "/").startswith(binding.path.rstrip("/") + "/")
    return checked if checked and beneath else binding.path


def _idle(loaded: Routing, release: Release | None) -> set[str]:
    led = {name for name, _ in loaded.addresses}
    programs = release.programs if release else ()
    return {each.name for each in programs if each.carried and each.name not in led}


async def confirm(
    proxy: Proxy, clock: Clock, loaded: Routing, release: Release | None
) -> Failure | None:
    """Every public address once more, as anybody would ask; a bad answer is asked twice. One that
    leads to a workload which is not there answers 503, and is left out; so is one that leads to
    what was carried over without a task, as it was scaled to none."""
    there = {each.workload for each in loaded.served} - _idle(loaded, release)
    for binding in [each for each in loaded.bindings if each.workload in there]:
        path = _public_path(binding, release)
        for pause in _PAUSES:
            answer = await proxy.public(binding.host, path, seconds=_PATIENCE)
            if answer.good(strict=False):
                break
            if pause is None:
                return explain.not_public(binding.host, answer.said(path))
            await clock.sleep(pause)
    return None
