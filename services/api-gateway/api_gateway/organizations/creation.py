"""Making an organization: its key first, then the fact."""

from slipway import sealing
from slipway.eventstore.keys import Keys

from api_gateway.commands import Commands, Outcome
from api_gateway.organizations.domain import ORGANIZATION, Create, OrganizationState
from api_gateway.request_context import RequestContext


async def create_organization(
    commands: Commands, keys: Keys, master_public: str, ctx: RequestContext, id_: str, name: str
) -> Outcome[OrganizationState]:
    """The private half of its key is wrapped for builder and deployer, and forgotten here. A try
    that was cut off behind the key goes on with that key."""
    wrapped = await keys.get(id_)
    if wrapped is None:
        pair = sealing.generate()
        wrapped = sealing.wrap(master_public, pair, id_)
        await keys.put(id_, wrapped)
    command = Create(name, sealing.public_half(wrapped))
    return await commands.handle(ctx, ORGANIZATION, id_, command, step="create", organization=id_)
