from api_gateway.feature import Feature
from api_gateway.health.routes import router

FEATURE = Feature(
    needs={
        "health": "nothing",
        "readiness": "nothing",
        "unavailable": "nothing",
        "metrics": "nothing",
    },
    routers=(router,),
)
