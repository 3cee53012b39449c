from api_gateway.deployments.dead import dead
from api_gateway.deployments.domain import DEPLOYMENT
from api_gateway.deployments.logs import router as logs
from api_gateway.deployments.open import OpenDeployments
from api_gateway.deployments.projections import Newest, Timeline
from api_gateway.deployments.react import react, watch_deadlines
from api_gateway.deployments.routes import router
from api_gateway.feature import Feature
from api_gateway.projections import Aggregates

FEATURE = Feature(
    needs={
        "list_deployments": "read",
        "get_deployment": "read",
        "get_deployment_logs": "read",
        "get_service_logs": "read",
        "deploy": "write",
        "cancel_deployment": "write",
        "roll_back": "write",
        "start_service": "write",
        "restart_service": "write",
    },
    routers=(router, logs),
    deciders=(DEPLOYMENT,),
    projections=(
        Aggregates(DEPLOYMENT, ["state.service", "state.phase", "first"]),
        Timeline(),
        Newest(),
    ),
    memories=(OpenDeployments,),
    react=react,
    dead=dead,
    work=(watch_deadlines,),
)
