from api_gateway.feature import Feature
from api_gateway.ports import PORT
from api_gateway.projections import Aggregates, Heads
from api_gateway.services.domain import SERVICE
from api_gateway.services.routes import router

FEATURE = Feature(
    needs={
        "list_services": "read",
        "list_environment_services": "read",
        "get_service": "read",
        "create_service": "write",
        "change_service": "write",
        "delete_service": "write",
        "stop_service": "write",
    },
    routers=(router,),
    deciders=(SERVICE, PORT),
    projections=(
        Aggregates(
            SERVICE,
            [
                "state.environment",
                "state.project",
                "state.phase",
                "state.webhook_hash",
                "created_at",
            ],
        ),
        Heads("rollout"),
        Heads("route"),
    ),
)
