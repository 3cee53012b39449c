from api_gateway.feature import Feature
from api_gateway.organizations.domain import MEMBER, ORGANIZATION
from api_gateway.organizations.routes import router
from api_gateway.projections import Aggregates

FEATURE = Feature(
    needs={
        "list_organizations": "sign-in",
        "create_organization": "person",
        "get_organization": "read",
    },
    routers=(router,),
    deciders=(ORGANIZATION, MEMBER),
    projections=(Aggregates(ORGANIZATION), Aggregates(MEMBER, ["state.user"])),
)
