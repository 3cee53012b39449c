"""Making an organization: its key first, then the fact."""

from slipway import sealing

from api_gateway.gateway import Gateway, Outcome, RequestContext
from api_gateway.organizations.domain import ORGANIZATION, Create, OrganizationState


async def create_organization(
    gateway: Gateway, ctx: RequestContext, id_: str, name: str
) -> Outcome[OrganizationState]:
    """The private half of its key is wrapped for builder and deployer, and forgotten here. A try
    that was cut off behind the key goes on with that key."""
    wrapped = await gateway.keys.get(id_)
    if wrapped is None:
        pair = sealing.generate()
        wrapped = sealing.wrap(gateway.settings.master_public, pair, id_)
        await gateway.keys.put(id_, wrapped)
    command = Create(name, sealing.public_half(wrapped))
    return await gateway.handle(ctx, ORGANIZATION, id_, command, step="create", organization=id_)
