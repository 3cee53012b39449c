from api_gateway.feature import Feature
from api_gateway.identity.domain import EMAIL, INSTALLATION, SESSION, TOKEN, USER
from api_gateway.identity.routes import router
from api_gateway.projections import Aggregates

FEATURE = Feature(
    needs={
        "setup": "nothing",
        "sign_in": "nothing",
        "sign_out": "person",
        "list_tokens": "administer",
        "create_token": "administer",
        "revoke_token": "administer",
    },
    routers=(router,),
    deciders=(USER, EMAIL, SESSION, TOKEN, INSTALLATION),
    projections=(
        Aggregates(USER, ["state.email_id"]),
        Aggregates(SESSION, ["state.token_hash"]),
        Aggregates(TOKEN, ["state.hash"]),
    ),
)
