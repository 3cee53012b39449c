"""Which deployments of a service have their images kept. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slipway.contracts.deployment import (
    DeploymentRequested,
    DeploymentStopRequested,
    DeploymentSucceeded,
)
from slipway.contracts.event import Event, NewerRelease, Unknown
from slipway.kernel.envelope import Recorded


@dataclass(frozen=True, slots=True)
class Ended:
    """`sequence`: of its end in the log."""

    deployment: str
    sequence: int
    live: bool


@dataclass(frozen=True, slots=True)
class Course:
    """A service's deployments: those that have ended, the last first, and those that have not."""

    ended: tuple[Ended, ...] = ()
    open: tuple[str, ...] = ()

    def kept(self, most: int) -> frozenset[str]:
        """For rollbacks: the last of all, and the last of those that were live."""
        lives = [each for each in self.ended if each.live]
        return frozenset(each.deployment for each in (*self.ended[:most], *lives[:most]))

    def left(self, most: int) -> tuple[list[Ended], list[Ended]]:
        """Those that were kept and are not any more, the last first: which were live, and which
        were not. Of either none leaves before one that ended earlier."""
        kept = self.kept(most)
        gone = [each for each in self.ended if each.deployment not in kept]
        return [each for each in gone if each.live], [each for each in gone if not each.live]


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
            ended.setdefault(service, []).append(Ended(head.subject.id, head.sequence, live))
    return {
        service: Course(tuple(ended.get(service, ())), tuple(open_.get(service, ())))
        for service in ended.keys() | open_.keys()
    }


def behind(left: Sequence[Ended], sequence: int) -> list[Ended]:
    """Those that ended later than what was looked at before."""
    return [each for each in left if each.sequence > sequence]
