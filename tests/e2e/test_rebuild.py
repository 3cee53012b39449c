"""The views can be thrown away: all that the API answers comes from the log."""

import time
import uuid
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import away, docker, eventually, settled
from tests.e2e.instance import INSTANCE
from tests.e2e.repositories import GitServer, slow
from tests.e2e.services import QUICK, Image, Service
from tests.e2e.views import LEFT_OUT, described, difference, digests

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

VOLUME = f"{INSTANCE}_mongo"


@pytest.fixture(scope="module", autouse=True)
def something_of_everything(
    api: Api, project: dict[str, Any], environment: str, git_server: GitServer, image: Image
) -> None:
    """Deployments of each end, variables of each level, domains, names, tokens."""
    api.post(f"/v1/projects/{project['id']}/environments", {"name": "Staging"})
    api.post("/v1/tokens", {"name": f"e2e {uuid.uuid4().hex[:6]}", "role": "viewer"})
    still = Service(api, environment, source=image.source, **QUICK)
    still.live()
    app = Service(api, environment, git_server.repository(), **QUICK)
    api.post(f"{app.path}/domains", {"host": app.host, "path": "/more"})
    for path in (f"/v1/projects/{project['id']}", f"/v1/environments/{environment}", app.path):
        items = [{"name": "PLAIN", "value": "yes"}, {"name": "S", "value": "no", "secret": True}]
        api.ok("PUT", f"{path}/variables", {"items": items})
    app.repository.behave("first", on_term="drain")
    first = app.live()["id"]
    app.repository.behave("ends", exit_code=3)
    app.failed()
    app.repository.behave("cancelled", slow(60))
    cancelled = app.deploy()
    api.until(cancelled, "building")
    api.post(f"/v1/deployments/{cancelled}/cancel")
    api.until(cancelled, "cancelled")
    api.until(api.rollback(first), "live")
    app.patch(replicas=2)
    settled(app.id, replicas=2)
    eventually("two addresses", lambda: app.shown()["observed"]["addresses"] == 2)


def quiet(api: Api) -> dict[str, str]:
    """The digests once nothing changes any more."""
    last = digests(api)
    deadline = time.monotonic() + 30
    while (now := digests(api)) != last:
        assert time.monotonic() < deadline, f"goes on changing: {difference(last, now)}"
        last = now
    return now


def test_what_is_left_out_of_the_digest_is_there(api: Api):
    assert LEFT_OUT.keys() <= described(api).keys()


def test_the_views_come_back_after_the_database_was_destroyed(api: Api):
    before = quiet(api)
    kinds = {address.split("/")[2] for address in before}
    assert kinds >= {"organizations", "projects", "environments", "services", "deployments"}
    with away(api, "api-gateway", "mongo"):
        used = docker("ps", "--all", "-q", "--filter", f"volume={VOLUME}").split()
        if used:
            docker("rm", "--force", *used)
        docker("volume", "rm", VOLUME)
        docker("volume", "create", "--label", f"slipway.instance={INSTANCE}", VOLUME)
    after = digests(api)
    assert difference(before, after) == [], "answered otherwise than before"


def test_the_views_are_rebuilt_while_they_are_read(api: Api):
    before = quiet(api)
    assert api.post("/v1/admin/projections/rebuild")["status"] == "running"
    reads = 0
    deadline = time.monotonic() + 60
    while (progress := api.get("/v1/admin/projections"))["status"] == "running":
        assert difference(before, digests(api)) == [], f"read wrongly during {progress}"
        reads += 1
        assert time.monotonic() < deadline, progress
    assert progress["status"] == "done", progress
    assert progress["folded"] == progress["of"] > 0, progress
    assert progress["documents"] > 0, progress
    assert progress["differing"] == 0, progress
    assert difference(before, digests(api)) == [], f"answered otherwise, after {reads} reads"


def test_only_the_operator_may_ask_for_a_rebuild(stranger: Api):
    viewer = stranger.post("/v1/tokens", {"name": "viewer", "role": "viewer"})["token"]
    answer = Api(stranger.url, viewer).call("POST", "/v1/admin/projections/rebuild")
    assert answer.status_code == 403, answer.text
