"""A process that builds a part of the read models anew, beside the gateway that started it:
`python -m api_gateway.rebuilding PART GENERATION`."""

import sys

from slipway.contracts.streams import READERS
from slipway.eventstore.jetstream import connect
from slipway.readmodel import part
from slipway.readmodel.model import Progress
from slipway.readmodel.mongo import MongoDocuments
from slipway.readmodel.rebuild import Rebuild
from slipway.runtime.logging import configure

from api_gateway.app import PARTS
from api_gateway.settings import GatewaySettings


async def opened() -> Rebuild:
    settings = GatewaySettings()
    configure("api-gateway", settings.log_level)
    connection = await connect(
        settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value()
    )
    documents = MongoDocuments(settings.mongo_url)
    part_, generation = int(sys.argv[1]), sys.argv[2]
    store = connection.reading(READERS["api-gateway"][part_])
    projections, budget = PARTS[part_]
    return Rebuild(store, documents, projections, generation, Progress(), part.anyway, budget)


if __name__ == "__main__":
    part.run(opened)
