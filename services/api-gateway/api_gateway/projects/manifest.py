from api_gateway.feature import Feature
from api_gateway.names import NAME
from api_gateway.projections import Aggregates
from api_gateway.projects.domain import ENVIRONMENT, PROJECT
from api_gateway.projects.react import look_again, react
from api_gateway.projects.routes import router
from api_gateway.projects.tree import Trees

FEATURE = Feature(
    needs={
        "list_projects": "read",
        "get_project": "read",
        "create_project": "write",
        "change_project": "write",
        "delete_project": "write",
        "get_environment": "read",
        "create_environment": "write",
        "change_environment": "write",
        "delete_environment": "write",
    },
    routers=(router,),
    deciders=(PROJECT, ENVIRONMENT, NAME),
    projections=(  # which are read from the trees: those have what was written
        Aggregates(PROJECT, ["created_at", "state.phase"], ahead=False),
        Aggregates(ENVIRONMENT, ["state.project", "state.phase"], ahead=False),
    ),
    memories=(Trees,),
    react=react,
    work=(look_again,),
)
