"""What the builds of an organization may take, as the log has it now."""

from slipway.contracts.event import readable
from slipway.contracts.limits import BUILDS, BuildLimits, BuildLimitsSet, OwnLimits, of_builds
from slipway.eventstore.store import EventStore
from slipway.kernel.envelope import Subject

from builder.settings import BuilderSettings


async def limits(store: EventStore, settings: BuilderSettings, organization: str) -> BuildLimits:
    """Raises NewerRelease."""
    head = await store.head(Subject(organization, "limits", BUILDS))
    said = readable(head.events[-1] if head else None, BuildLimitsSet)
    own = said.limits if said else OwnLimits()
    return of_builds(settings.build_limits, own, settings.build_ceilings)
