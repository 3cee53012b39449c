"""Whether it lives, whether it can be asked, and its metrics."""

from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api_gateway.http.context import Gate
from api_gateway.http.problem import problem
from api_gateway.http.routing import router as feature

router = feature("health")


@router.get("/healthz")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
async def readiness(gateway: Gate) -> Response:
    """200 once the log answers and the views have been at its end."""
    if not gateway.ready():
        return problem(503, "not-ready", "the log is away, or the views are being built")
    return Response(b'{"status":"ready"}', media_type="application/json")


@router.get("/between-releases")
async def between_releases() -> Response:
    """What a domain answers while its program stands still for the one that follows it."""
    return problem(
        503,
        "between-releases",
        "a new release takes over what the former one held alone; for a moment neither answers",
        hint="ask again in a few seconds",
    )


@router.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
