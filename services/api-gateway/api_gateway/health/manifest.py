from api_gateway.feature import Feature
from api_gateway.health.routes import router

FEATURE = Feature(
    needs={
        "health": "nothing",
        "readiness": "nothing",
        "between_releases": "nothing",
        "metrics": "nothing",
    },
    routers=(router,),
)
