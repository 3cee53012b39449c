from api_gateway.feature import Feature
from api_gateway.organizations.domain import LIMITS, MEMBER, ORGANIZATION
from api_gateway.organizations.routes import router
from api_gateway.projections import Aggregates

FEATURE = Feature(
    needs={
        "list_organizations": "sign-in",
        "create_organization": "person",
        "get_organization": "read",
        "get_limits": "operator",
        "set_limits": "operator",
    },
    routers=(router,),
    deciders=(ORGANIZATION, MEMBER, LIMITS),
    projections=(Aggregates(ORGANIZATION), Aggregates(MEMBER, ["state.user"])),
)
