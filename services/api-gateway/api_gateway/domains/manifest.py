from api_gateway.domains.domain import HOST
from api_gateway.domains.routes import router
from api_gateway.feature import Feature
from api_gateway.projections import Aggregates

FEATURE = Feature(
    needs={"list_domains": "read", "add_domain": "write", "remove_domain": "write"},
    routers=(router,),
    deciders=(HOST,),
    projections=(Aggregates(HOST, ["state.routes.service", "state.routes.domain"]),),
)
