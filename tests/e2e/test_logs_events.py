"""Log lines and events as streams: live, complete, and resumed without loss or doubling."""

import itertools
import json
import time
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import eventually
from tests.e2e.repositories import GitServer, printing
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

LINES = 12


@pytest.fixture(scope="module")
def app(api: Api, environment: str, git_server: GitServer) -> Service:
    return Service(api, environment, git_server.repository(), **QUICK)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_build_is_followed_live_and_resumed(api: Api, app: Service):
    app.repository.behave("followed", printing(LINES, 0.4), on_term="drain")
    deployment = app.deploy()
    path = f"/v1/deployments/{deployment}/logs"
    came: dict[str, float] = {}
    seen: list[tuple[str, dict[str, Any]]] = []

    def read(last: str, until: str) -> bool:
        """Follow up to the line `until`; False when the stream ended before it."""
        for id_, event, data in api.stream(path, last):
            if event == "end":
                return False
            line = json.loads(data)
            came.setdefault(line["text"], time.time())
            seen.append((id_, line))
            if line["text"] == until:
                return True
        return False

    assert read("", "line 2"), seen
    assert read(seen[-1][0], "line 5"), seen
    assert not read(seen[-1][0], "there is no such line"), "the end is announced"
    api.until(deployment, "live")

    texts = [line["text"] for _, line in seen]
    assert [t for t in texts if t.startswith("line ")] == [f"line {n}" for n in range(LINES)], texts
    assert len({id_ for id_, _ in seen}) == len(seen), "an id came twice"
    history = api.lines(f"/v1/deployments/{deployment}")
    assert [line for _, line in seen] == history, "not what the history has"
    printed = {line["text"]: moment(line["at"]) for line in history}
    assert came["line 0"] < printed[f"line {LINES - 1}"], "seen only after the last was printed"
    assert texts[-1].startswith(f"live at http://{app.host}"), texts
    late = [came[text] - printed[text] for text in texts if text.startswith("line ")]
    assert max(late) < 2, f"seconds from printed to seen: {late}"
    # From the beginning once more, after the end, line by line the same.
    again = [json.loads(data) for _, event, data in api.stream(path) if event != "end"]
    assert again == history


def test_a_service_is_heard(api: Api, app: Service):
    app.repository.behave("heard", on_term="drain")
    app.live()

    def texts() -> list[str]:
        return [line["text"] for line in api.lines(app.path)]

    def heard() -> bool:
        return {"version heard starts", "listening on 8000"} <= set(texts())

    eventually("what it printed is there", heard, 20)
    for _, _, data in api.stream(f"{app.path}/logs"):
        if json.loads(data)["text"] == "version heard starts":
            break


def test_events_are_followed_and_resumed(api: Api, app: Service):
    app.repository.behave("told", on_term="drain")
    deployment = app.deploy()
    begin = api.deployment(deployment)["sequence"] - 1
    kinds = "deployment.,build.,rollout.,route."
    path = f"/v1/events?after={begin}&types={kinds}"
    parts: list[tuple[str, dict[str, Any]]] = []

    def read() -> bool:
        """At most three by one connection; False at the deployment's end."""
        last = parts[-1][0] if parts else ""
        for id_, _, data in itertools.islice(api.stream(path, last), 3):
            parts.append((id_, json.loads(data)))
            if parts[-1][1]["type"] == "deployment.succeeded":
                return False
        return True

    while read():
        pass
    api.until(deployment, "live")

    ids = [id_ for id_, _ in parts]
    order = [tuple(map(int, id_.split("."))) for id_ in ids]
    assert order == sorted(set(order)), f"doubled or out of order: {ids}"
    own = [e for _, e in parts if deployment in (e["subject"], e["data"].get("deployment"))]
    whole = api.history(deployment)
    assert own == whole[: len(own)], "a resumed stream is not what one stream is"
    types = [event["type"] for event in own]
    wanted = [
        "deployment.requested", "build.started", "build.succeeded", "rollout.queued",
        "rollout.started", "rollout.ready", "route.activated", "rollout.succeeded",
        "deployment.succeeded",
    ]  # fmt: skip
    assert [type_ for type_ in types if type_ in wanted] == wanted, types
    assert all(e["specversion"] == "1.0" and e["id"] == id_ for id_, e in parts)
    assert {"source", "time", "subject", "datacontenttype", "actor"} <= whole[0].keys(), whole[0]
    assert whole[0]["data"].keys() <= {"project", "environment", "service", "kind", "trigger"}


def test_only_the_wanted_types_of_the_own_organization(
    api: Api, project: dict[str, Any], stranger: Api
):
    theirs = stranger.post("/v1/projects", {"name": "theirs"})
    path = f"/v1/projects/{project['id']}"
    api.post(f"{path}/environments", {"name": "Staging"})
    begin = int(api.sequence) - 1
    api.patch(path, {"name": f"e2e {time.time()}"})
    stranger.patch(f"/v1/projects/{theirs['id']}", {"name": "still theirs"})
    api.post(f"{path}/environments", {"name": "Last"})
    seen = []
    for _, _, data in api.stream(f"/v1/events?after={begin}&types=environment.,project.renamed"):
        seen.append(json.loads(data))
        if seen[-1]["data"].get("name") == "Last":
            break
    types = [event["type"] for event in seen]
    assert types == ["environment.created", "project.renamed", "environment.created"], seen
    assert theirs["id"] not in json.dumps(seen)
    stranger.ok("DELETE", f"/v1/projects/{theirs['id']}")
