from api_gateway.admin.carried_out import CarriedOut
from api_gateway.admin.routes import router
from api_gateway.feature import Feature

FEATURE = Feature(
    needs={
        "get_projections": "operator",
        "rebuild_projections": "operator",
        "list_dead_letters": "operator",
        "retry_dead_letter": "operator",
    },
    routers=(router,),
    memories=(CarriedOut,),
)
