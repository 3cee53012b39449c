"""Variables of four levels, with references and secrets, as the container has them."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import inspect, tasks
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


@pytest.fixture
def organization(api: Api) -> Iterator[str]:
    """The path of the tests' organization; what it had of variables is set again afterwards."""
    path = f"/v1/organizations/{api.get('/v1/organizations')['items'][0]['id']}/variables"
    before = api.get(path)["items"]
    yield path
    api.ok("PUT", path, {"items": before})


def put(api: Api, path: str, **values: str | tuple[str]) -> Any:
    """A value in a tuple is secret."""
    items = [
        {"name": name, "value": value[0], "secret": True}
        if isinstance(value, tuple)
        else {"name": name, "value": value}
        for name, value in values.items()
    ]
    return api.ok("PUT", path, {"items": items})


def test_four_levels_references_secrets_and_a_rollback(
    api: Api, project: dict[str, Any], environment: str, image: Image, organization: str,
    http_get: Any,
):  # fmt: skip
    app = Service(api, environment, source=image.source, **QUICK)
    secret, later = f"s3cr3t-{uuid.uuid4().hex}", f"s3cr3t-{uuid.uuid4().hex}"
    of_project = f"/v1/projects/{project['id']}/variables"
    of_environment = f"/v1/environments/{environment}/variables"

    def seen() -> dict[str, str]:
        return json.loads(http_get(app.host, "/environment")[1])

    put(api, organization, E2E_REGION="north", E2E_NAME="organization")
    put(api, of_project, E2E_HOST="db.${{E2E_REGION}}.example", E2E_NAME="project")
    put(api, of_environment, E2E_PASSWORD=(secret,), E2E_NAME="environment")
    url = "db://app:${{E2E_PASSWORD}}@${{project.E2E_HOST}}/x"
    answer = put(
        api, f"{app.path}/variables", E2E_URL=url, E2E_NAME="service",
        E2E_ABOVE="${{E2E_NAME}} in ${{organization.E2E_NAME}}",
    )  # fmt: skip
    assert {item["name"] for item in answer["items"]} == {"E2E_URL", "E2E_NAME", "E2E_ABOVE"}
    first = app.live()["id"]
    wanted = {
        "E2E_REGION": "north",
        "E2E_HOST": "db.north.example",
        "E2E_PASSWORD": secret,
        "E2E_NAME": "service",
        "E2E_URL": f"db://app:{secret}@db.north.example/x",
        "E2E_ABOVE": "service in organization",
        "PORT": "8000",
    }
    assert wanted.items() <= seen().items(), {name: seen().get(name) for name in wanted}

    # A secret is never shown again, and is kept when it is sent without its value.
    shown = api.get(of_environment)["items"]
    assert {"name": "E2E_PASSWORD", "value": None, "secret": True} in shown, shown
    api.ok("PUT", of_environment, {"items": shown})

    # What is set acts with the next deployment; a rollback brings back what was.
    put(api, of_environment, E2E_PASSWORD=(later,))
    put(api, of_project, E2E_HOST="other.example")
    assert seen()["E2E_PASSWORD"] == secret
    app.live()
    assert seen()["E2E_URL"] == f"db://app:{later}@other.example/x"
    assert seen()["E2E_NAME"] == "service"
    api.until(api.rollback(first), "live")
    assert wanted.items() <= seen().items(), {name: seen().get(name) for name in wanted}


LITERAL = {
    "E2E_TEMPLATE": "{{.Node.ID}}",
    "E2E_BRACES": "{{{ -}} {{- /* x */}} {{",
    "E2E_SIGNS": "a'b\"c\n\t$HOME `d` \\ %s {} }}\n",
    "E2E_UNICODE": "Grüße 漢字 𝄞",
    "E2E_EMPTY": "",
    "E2E_LONG": "x{{" * 10_000,
}


def test_values_arrive_byte_for_byte(api: Api, environment: str, image: Image, http_get: Any):
    app = Service(
        api, environment, source=image.source, **QUICK,
        command=["python", "app.py", "{{.Node.ID}}", "$HOME"],
    )  # fmt: skip
    put(api, f"{app.path}/variables", **LITERAL)
    app.live()
    seen = json.loads(http_get(app.host, "/environment")[1])
    assert {name: seen.get(name) for name in LITERAL} == LITERAL
    container = inspect("container", tasks(app.id)[0])
    assert container["Args"][-2:] == ["{{.Node.ID}}", "$HOME"]


def test_a_reference_to_nothing_is_refused_where_it_stands(
    api: Api, environment: str, image: Image
):
    app = Service(api, environment, source=image.source, **QUICK)
    items = [{"name": "GOOD", "value": "1"}, {"name": "BAD", "value": "${{NOWHERE}}"}]
    answer = api.call("PUT", f"{app.path}/variables", {"items": items})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/items/1/value", answer.text
    assert api.get(f"{app.path}/variables")["items"] == []
