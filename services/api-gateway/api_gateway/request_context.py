"""Who asks for what."""

from dataclasses import dataclass
from datetime import datetime

from slipway.contracts.organization import Role
from slipway.eventstore.store import Commit
from slipway.kernel import ids
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Actor
from slipway.kernel.errors import Invalid, PreconditionFailed

NOWHERE = 2**63 - 1
"""The `since` of a request that nobody made before."""


class KeyReused(Invalid):
    slug = "idempotency-key-reused"


@dataclass(slots=True)
class RequestContext:
    """`id` is derived from the Idempotency-Key where there is one; `digest` is of the body then.
    `since`: no commit of it stands in the log at or below that sequence; it is not looked for
    there.
    `sequence` becomes the highest sequence that the request appended, or found that nothing was
    left to append."""

    id: str
    actor: Actor
    at: datetime
    organization: str = "_"
    role: Role | None = None
    user: str | None = None
    operator: bool = False
    if_match: int | None = None
    digest: str = ""
    keyed: bool = False
    since: int = 0
    sequence: int = 0

    @property
    def request(self) -> str:
        return f"{self.id}:{self.digest}"

    def reached(self, sequence: int) -> None:
        self.sequence = max(self.sequence, sequence)

    def precondition(self, version: int) -> None:
        """Raises PreconditionFailed when If-Match names another one."""
        if self.if_match is not None and self.if_match != version:
            raise PreconditionFailed(
                f"it is at version {version} by now, not {self.if_match}",
                hint="read it again and send its ETag",
            )

    def same_request(self, former: str | None) -> None:
        """`former` is what this request's key was used for. Raises KeyReused."""
        if self.keyed and former not in (None, self.request):
            raise KeyReused("this Idempotency-Key was used for another request body")


def service_context(clock: Clock, cause: Commit, step: str = "") -> RequestContext:
    """For what the gateway does of itself in consequence of a commit."""
    return RequestContext(
        id=ids.derived("reaction", cause.meta.commit, step),
        actor=Actor("service", "api-gateway"),
        at=clock.now(),
        organization=cause.subject.organization,
        since=cause.sequence,
    )
