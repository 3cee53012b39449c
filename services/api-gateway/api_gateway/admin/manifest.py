from api_gateway.admin.carried_out import CarriedOut
from api_gateway.admin.domain import EGRESS
from api_gateway.admin.routes import router
from api_gateway.feature import Feature

FEATURE = Feature(
    needs={
        "get_projections": "operator",
        "rebuild_projections": "operator",
        "list_dead_letters": "operator",
        "retry_dead_letter": "operator",
        "get_egress": "operator",
        "set_egress": "operator",
    },
    routers=(router,),
    deciders=(EGRESS,),
    memories=(CarriedOut,),
)
