"""What the builds of an organization may take."""

from slipway.contracts.limits import BUILDS, BuildLimits, of_builds

from api_gateway.gateway import Gateway
from api_gateway.organizations.domain import LIMITS


async def limits_of_builds(gateway: Gateway, organization: str) -> BuildLimits:
    """As the log has it now."""
    own, _ = await gateway.commands.load(LIMITS, organization, BUILDS)
    return of_builds(gateway.settings.build_limits, own, gateway.settings.build_ceilings)
