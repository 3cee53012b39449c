"""Projects and environments as they are shown."""

from typing import Any

from slipway.readmodel.model import Document

from api_gateway.gateway import Gateway
from api_gateway.http.answers import everything


def project(document: Document) -> dict[str, Any]:
    state = document["state"]
    return {
        "id": document["_id"],
        "name": state["name"],
        "status": state["phase"],
        "created_at": document["created_at"],
        "updated_at": document["updated_at"],
    }


def environment(document: Document) -> dict[str, Any]:
    state = document["state"]
    return {
        "id": document["_id"],
        "name": state["name"],
        "project": state["project"],
        "status": state["phase"],
        "created_at": document["created_at"],
    }


def service(document: Document) -> dict[str, Any]:
    state = document["state"]
    return {
        "id": document["_id"],
        "kind": "application",
        "name": state["name"],
        "status": "stopped" if state["stopped"] else state["phase"],
        "replicas": state["replicas"],
    }


async def environments_of(gateway: Gateway, organization: str, projects: list[str]) -> Any:
    """project id → its environments with their services, oldest first."""
    where = {"org": organization, "state.project": projects}
    environments = await everything(gateway, "environment", where)
    applications = await everything(gateway, "application", where)
    tree: dict[str, list[dict[str, Any]]] = {id_: [] for id_ in projects}
    services: dict[str, list[dict[str, Any]]] = {}
    for document in sorted(applications, key=lambda item: item["created_at"]):
        if document["state"]["phase"] != "deleted":
            services.setdefault(document["state"]["environment"], []).append(service(document))
    for document in sorted(environments, key=lambda item: item["created_at"]):
        if document["state"]["phase"] != "deleted":
            shown = environment(document)
            shown["services"] = services.get(document["_id"], [])
            tree[document["state"]["project"]].append(shown)
    return tree
