"""The HTTP application: routers, problems, health, metrics, the API's description."""

import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from api_gateway.applications.routes import router as applications
from api_gateway.deployments.logs import router as logs
from api_gateway.deployments.routes import router as deployments
from api_gateway.domains.routes import router as domains
from api_gateway.events.routes import router as events
from api_gateway.gateway import Gateway
from api_gateway.http.problem import install, problem
from api_gateway.identity.routes import router as identity
from api_gateway.organizations.routes import router as organizations
from api_gateway.projects.routes import router as projects
from api_gateway.variables.routes import router as variables
from api_gateway.webhooks.routes import router as webhooks

LARGEST_BODY = 1024 * 1024
_SECONDS = Histogram("slipway_http_seconds", "Duration of requests", ["method", "route"])
_ANSWERS = Counter("slipway_http_answers", "Answers by status", ["method", "route", "status"])


def build(gateway: Gateway) -> FastAPI:
    app = FastAPI(
        title="Slipway",
        version="1",
        description="Applications on your own servers. Errors are RFC 9457 problem+json.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.gateway = gateway
    install(app)
    for router in (
        identity, organizations, projects, applications, variables, domains,
        deployments, logs, webhooks, events,
    ):  # fmt: skip
        app.include_router(router)
    _health(app, gateway)
    _description(app)
    _middleware(app)
    return app


def _middleware(app: FastAPI) -> None:
    @app.middleware("http")
    async def limits_and_measures(request: Request, call_next: Any) -> Response:
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return problem(413, "too-large", f"a body has at most {LARGEST_BODY} bytes")
        began = time.perf_counter()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "none")
        _SECONDS.labels(request.method, route).observe(time.perf_counter() - began)
        _ANSWERS.labels(request.method, route, response.status_code).inc()
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _health(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> Response:
        """200 once the log answers and the views have been at its end."""
        if not gateway.ready():
            return problem(503, "not-ready", "the log is away, or the views are being built")
        return Response(b'{"status":"ready"}', media_type="application/json")

    @app.get("/metrics", tags=["health"])
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _description(app: FastAPI) -> None:
    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(
                title=app.title, version=app.version,
                description=app.description, routes=app.routes,
            )  # fmt: skip
        return app.openapi_schema

    app.openapi = described

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """The operations in a page of our own: no assets from anywhere else."""
        rows = [
            f"<tr><td><code>{method.upper()}</code></td><td><code>{path}</code></td>"
            f"<td>{operation.get('description') or operation.get('summary', '')}</td></tr>"
            for path, item in described()["paths"].items()
            for method, operation in item.items()
        ]
        return HTMLResponse(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Slipway API</title>"
            "<meta name=viewport content='width=device-width'>"
            "<style>:root{color-scheme:light dark}body{font:15px system-ui;max-width:70rem;"
            "margin:2rem auto;padding:0 1rem}td{padding:.3rem .8rem .3rem 0;vertical-align:top}"
            "tr{border-bottom:1px solid #8884}table{border-collapse:collapse}</style>"
            "<h1>Slipway API</h1><p>Machine-readable: <a href=/openapi.json>/openapi.json</a></p>"
            f"<table>{''.join(rows)}</table></html>"
        )
