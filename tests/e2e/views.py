"""All that can be read of the API, as one table: what a rebuild of the views may not change."""

import hashlib
import json
import re
from typing import Any

from tests.e2e.api import Api

LEFT_OUT = {
    "/healthz": "of the process, not of the log",
    "/readyz": "of the process, not of the log",
    "/between-releases": "a refusal, whatever there is",
    "/metrics": "counters of the process, which begin anew with it",
    "/v1/events": "a live stream without an end; the log itself is not rebuilt",
    "/v1/services/{id}/logs": "what runs goes on writing; logs are no view",
    "/v1/admin/projections": "tells of the rebuild itself",
}
"""Path → why it is no part of the digest."""

QUERIES = {"/v1/deployments/{id}/logs": "?follow=false"}
"""Path → what makes its answer end."""

LEVELS = ("organizations", "projects", "environments", "services")


def described(api: Api) -> dict[str, str]:
    """Every GET of the API's description, by its path with `{id}` for whatever the id is called."""
    paths = api.get("/openapi.json")["paths"]
    gets = [path for path, item in paths.items() if "get" in item]
    return {re.sub(r"\{(?!level\})\w+\}", "{id}", path): path for path in gets}


def known(api: Api) -> dict[str, list[str]]:
    """Collection (its name in a path) → all ids that its lists show."""
    found: dict[str, list[str]] = {
        "organizations": [item["id"] for item in api.get("/v1/organizations")["items"]],
        "projects": [item["id"] for item in api.items("/v1/projects")],
    }
    projects = [api.get(f"/v1/projects/{id_}") for id_ in found["projects"]]
    environments = [one for project in projects for one in project["environments"]]
    found["environments"] = [one["id"] for one in environments]
    found["services"] = [
        item["id"]
        for id_ in found["environments"]
        for item in api.items(f"/v1/environments/{id_}/services")
    ]
    found["deployments"] = [
        item["id"]
        for id_ in found["services"]
        for item in api.items(f"/v1/services/{id_}/deployments")
    ]
    return found


def addresses(api: Api) -> list[str]:
    """Every GET that is not left out, with every id that there is."""
    ids, found = known(api), []
    for path in described(api).keys() - LEFT_OUT.keys():
        for variant in {path.replace("{level}", level) for level in LEVELS}:
            assert variant.count("{") <= 1, f"{variant} has two ids: say how they belong together"
            collection = re.match(r"/v1/(?:admin/)?([a-z-]+)/\{id\}", variant)
            assert collection or "{" not in variant, f"nothing is known that would fill {variant}"
            names = ids[collection[1]] if collection else [""]
            query = QUERIES.get(path, "")
            found += [variant.replace("{id}", name) + query for name in names]
    return sorted(found)


def content(api: Api, address: str) -> str:
    """The answer's version and body, all pages of a list."""
    answer = api.call("GET", address)
    assert answer.status_code == 200, f"{address}: {answer.status_code} {answer.text}"
    if answer.headers["content-type"] != "application/json":
        return answer.text
    body: Any = answer.json()
    if body.get("next"):
        body = list(api.items(address))
    return json.dumps([answer.headers.get("ETag"), _of_the_log(body)], sort_keys=True)


def _of_the_log(body: Any) -> Any:
    """Without what was seen of a service's tasks: that is of the world, and grows old."""
    if isinstance(body, list):
        return [_of_the_log(each) for each in body]
    if not isinstance(body, dict):
        return body
    if "observed_at" in body:
        return [body["name"], body["image"], body["replicas"]["wanted"]]
    seen = {"observed", "status"} if "observed" in body else set()
    return {key: _of_the_log(value) for key, value in body.items() if key not in seen}


def digests(api: Api) -> dict[str, str]:
    """Address → hash of what it answers."""
    return {
        address: hashlib.sha256(content(api, address).encode()).hexdigest()
        for address in addresses(api)
    }


def difference(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(
        address
        for address in before.keys() | after.keys()
        if before.get(address) != after.get(address)
    )
