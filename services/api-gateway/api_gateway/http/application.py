"""The HTTP application: the features' routers, problems, and the API's description."""

from fastapi import FastAPI

from api_gateway.feature import Features
from api_gateway.gateway import Gateway
from api_gateway.http import description
from api_gateway.http.limits import Limits
from api_gateway.http.problem import install


def build(gateway: Gateway, features: Features) -> FastAPI:
    app = FastAPI(
        title="Slipway",
        version="1",
        description="Services on your own servers. Errors are RFC 9457 problem+json.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.gateway, app.state.needs = gateway, features.needs
    install(app)
    for router in features.routers:
        app.include_router(router)
    description.install(app, features.needs)
    app.add_middleware(Limits)
    return app
