"""Which deployments of a service have their images kept. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from slipway.contracts.deployment import (
    DeploymentRequested,
    DeploymentStopRequested,
    DeploymentSucceeded,
)
from slipway.contracts.event import Event, NewerRelease, Unknown
from slipway.contracts.workload import MOST
from slipway.kernel.envelope import Recorded

FEW = MOST + 1
"""Tags of a deployment: one of what is built, and one of each image that is copied."""
_TAG = re.compile("([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-[0-9a-f]{12})?")


@dataclass(frozen=True, slots=True)
class Ended:
    deployment: str
    live: bool


@dataclass(frozen=True, slots=True)
class Course:
    """A service's deployments: those that have ended, the last first, and those that have not."""

    ended: tuple[Ended, ...] = ()
    open: frozenset[str] = frozenset()

    def kept(self, most: int) -> frozenset[str]:
        """For rollbacks: the last of all, and the last of those that were live."""
        lives = [each for each in self.ended if each.live]
        return frozenset(each.deployment for each in (*self.ended[:most], *lives[:most]))

    def left(self, most: int) -> list[str]:
        """Those that were kept and are not any more, the first to end first."""
        kept = self.kept(most)
        return [each.deployment for each in reversed(self.ended) if each.deployment not in kept]

    def own(self, tags: Iterable[str]) -> tuple[dict[str, str], list[str]]:
        """Those that are named as the builder names its own, and whose; and all others, which steps
        have pushed under names of theirs."""
        known = self.open | {each.deployment for each in self.ended}
        own: dict[str, str] = {}
        others: list[str] = []
        for tag in tags:
            match = _TAG.fullmatch(tag)
            if match is not None and match[1] in known:
                own[tag] = match[1]
            else:
                others.append(tag)
        return own, others

    def staying(
        self, own: Mapping[str, str], digests: Mapping[str, str], stays: Collection[str]
    ) -> tuple[set[str], list[str]]:
        """By tag whose it is, and what it names. What else stays, as it may have been pushed by a
        build that goes on; and the tags that go. A step may use these names too: of each deployment
        a few are kept that name nothing known, and a few for each of `stays`."""
        pushed: set[str] = set()
        go: list[str] = []
        many = Counter[tuple[str, str]]()
        for tag, digest in digests.items():
            of, known = own[tag], digest in stays
            alike = (of, digest if known else "")
            if (known or of in self.open) and (tag == of or many[alike] < FEW):
                many[alike] += 1
                pushed.add(digest)
            else:
                go.append(tag)
        return pushed, go


def courses(heads: Iterable[Recorded[Event]]) -> dict[str, Course]:
    """By service, from the last commit of each deployment. Raises NewerRelease."""
    ended: dict[str, list[Ended]] = {}
    open_: dict[str, list[str]] = {}
    for head in sorted(heads, key=lambda head: head.sequence, reverse=True):
        last = head.events[-1]
        if isinstance(last, Unknown):
            raise NewerRelease(f"{last.name} was written by a newer release")
        service = str(getattr(last, "service", ""))
        if isinstance(last, DeploymentRequested | DeploymentStopRequested):
            open_.setdefault(service, []).append(head.subject.id)
        else:
            live = isinstance(last, DeploymentSucceeded)
            ended.setdefault(service, []).append(Ended(head.subject.id, live))
    return {
        service: Course(tuple(ended.get(service, ())), frozenset(open_.get(service, ())))
        for service in ended.keys() | open_.keys()
    }
