"""The HTTP application: routers, problems, health, metrics, the API's description."""

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api_gateway.deployments.logs import router as logs
from api_gateway.deployments.routes import router as deployments
from api_gateway.domains.routes import router as domains
from api_gateway.events.routes import router as events
from api_gateway.gateway import Gateway
from api_gateway.http import description
from api_gateway.http.context import Gate
from api_gateway.http.limits import Limits
from api_gateway.http.problem import install, problem
from api_gateway.http.routing import router
from api_gateway.identity.routes import router as identity
from api_gateway.organizations.routes import router as organizations
from api_gateway.projects.routes import router as projects
from api_gateway.services.routes import router as services
from api_gateway.variables.routes import router as variables
from api_gateway.webhooks.routes import router as webhooks


def build(gateway: Gateway) -> FastAPI:
    app = FastAPI(
        title="Slipway",
        version="1",
        description="Services on your own servers. Errors are RFC 9457 problem+json.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.gateway = gateway
    install(app)
    for included in (
        identity, organizations, projects, services, variables, domains,
        deployments, logs, webhooks, events, _health(),
    ):  # fmt: skip
        app.include_router(included)
    description.install(app)
    app.add_middleware(Limits)
    return app


def _health() -> APIRouter:
    health_router = router("health")

    @health_router.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @health_router.get("/readyz")
    async def readiness(gateway: Gate) -> Response:
        """200 once the log answers and the views have been at its end."""
        if not gateway.ready():
            return problem(503, "not-ready", "the log is away, or the views are being built")
        return Response(b'{"status":"ready"}', media_type="application/json")

    @health_router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return health_router
