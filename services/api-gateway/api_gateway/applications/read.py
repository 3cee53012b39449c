"""Applications as they are shown: what is wanted, and what was observed of it."""

from typing import Any

from slipway import sealing
from slipway.contracts.values import Sealed
from slipway.readmodel.model import Document

from api_gateway.gateway import Gateway
from api_gateway.http.answers import everything


def webhook_path(gateway: Gateway, document: Document) -> str:
    sealed = Sealed.model_validate(document["state"]["webhook_token"])
    private = gateway.settings.gateway_key.get_secret_value()
    token = sealing.open_sealed(private, sealed, f"application/{document['_id']}/webhook")
    return f"/v1/webhooks/git/{token}"


def domain(host: Document, route: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": route["domain"],
        "host": host["state"]["host"],
        "path": route["path"],
        "port": route["port"],
        "https": False,
        "application": route["application"],
    }


async def domains_of(gateway: Gateway, application: str) -> list[dict[str, Any]]:
    hosts = await everything(gateway, "host", {"state.routes.application": application})
    return [
        domain(host, route)
        for host in sorted(hosts, key=lambda item: item["created_at"])
        for route in host["state"]["routes"]
        if route["application"] == application
    ]


def status(document: Document, rollout: Document | None) -> str:
    state = document["state"]
    serving = (rollout or {}).get("state", {}).get("serving")
    if state["phase"] == "deleting":
        return "deleting"
    if state["stopped"]:
        return "stopped"
    return "running" if serving else "not deployed"


async def application(gateway: Gateway, document: Document, *, hook: bool) -> dict[str, Any]:
    """`hook`: with the webhook's address, which is a secret: not for viewers."""
    state, id_ = document["state"], document["_id"]
    rollout = await gateway.documents.get("rollout", id_)
    route = await gateway.documents.get("route", id_)
    newest = await gateway.documents.find(
        "deployment", {"state.application": id_}, sort="first", descending=True, limit=1
    )
    observed = rollout["state"] if rollout else {}
    serving = observed.get("serving")
    return {
        "id": id_,
        "kind": "application",
        "name": state["name"],
        "project": state["project"],
        "environment": state["environment"],
        "source": state["source"],
        "build": state["build"],
        **state["runtime"],
        "replicas": state["replicas"],
        "status": status(document, rollout),
        "live_deployment": serving["deployment"] if serving else None,
        "latest_deployment": newest.items[0]["_id"] if newest.items else None,
        "observed": {
            "source": "deployer",
            "at": rollout["updated_at"] if rollout else None,
            "replicas": observed.get("replicas"),
            "addresses": len(route["state"]["addresses"]) if route else 0,
        },
        "webhook": {
            "url": webhook_path(gateway, document) if hook else None,
            "has_secret": state["webhook_secret"] is not None,
        },
        "domains": await domains_of(gateway, id_),
        "created_at": document["created_at"],
        "updated_at": document["updated_at"],
    }
