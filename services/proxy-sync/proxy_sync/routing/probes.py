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


def asked_for(view: View, release: Release | None, probe: Probe) -> tuple[str, str]:
    """(path, host) of a probe: the health check's path on the service's own port, else the
    path under which the port is public."""
    bound = [b for b in view.bound if (b.port or (release and release.port)) == probe.port]
    host = bound[0].host if bound else "localhost"
    if release is not None and release.port == probe.port:
        return release.health_path or "/", host
    return (bound[0].path if bound else "/"), host


async def ask(proxy: Proxy, view: View, probe: Probe) -> tuple[bool, str]:
    """(whether the answer was good, what it was). What can't even be asked is a bad answer: it is
    this one service's."""
    release = release_of(view, probe)
    path, host = asked_for(view, release, probe)
    checked = release is not None and release.health_path and release.port == probe.port
    try:
        answer = await proxy.probe(
            probe.task, probe.port, probe.attempt, host, path, seconds=_PATIENCE
        )
    except Exception as error:
        return False, f"GET {path} could not be asked ({type(error).__name__})"
    return answer.good(strict=bool(checked)), answer.said(path)


def after(before: Answers, now: float, good: bool, said: str) -> Answers:
    if not good:
        return replace(before, last=now, bad=before.bad + 1, text=said)
    since = before.good_since if before.good_since and not before.bad else now
    return Answers(good_since=since, last=now)


def _public_path(binding: Binding, release: Release | None) -> str:
    """That of the health check, where it leads to the same port: the program's own `/` may answer
    badly, and be healthy."""
    checked = release.health_path if release and release.port == binding.port else None
    beneath = checked and (checked + "/").startswith(binding.path.rstrip("/") + "/")
    return checked if checked and beneath else binding.path


async def confirm(
    proxy: Proxy, clock: Clock, loaded: Routing, release: Release | None
) -> Failure | None:
    """Every public address once more, as anybody would ask; a bad answer is asked twice."""
    for binding in loaded.bindings:
        path = _public_path(binding, release)
        for pause in _PAUSES:
            answer = await proxy.public(binding.host, path, seconds=_PATIENCE)
            if answer.good(strict=False):
                break
            if pause is None:
                return explain.not_public(binding.host, answer.said(path))
            await clock.sleep(pause)
    return None
