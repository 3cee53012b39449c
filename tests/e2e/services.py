"""Services under test, each with a name and a host of its own."""

import json
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from tests.containers import into_library
from tests.e2e.api import Api
from tests.e2e.engine import docker
from tests.e2e.instance import HERE, INSTANCE, MARK
from tests.e2e.repositories import Repository

QUICK: dict[str, Any] = {"settle_seconds": 1, "drain_seconds": 1}
"""For tests in which the switch itself is not the topic."""


class Service:
    """Of a repository, or of what `body` says. Without `host` it gets one made of its name."""

    def __init__(
        self,
        api: Api,
        environment: str,
        repository: Repository | None = None,
        *,
        name: str = "",
        host: str = "",
        **body: Any,
    ) -> None:
        self.api, self.environment = api, environment
        self.name = name or f"web-{uuid.uuid4().hex[:6]}"
        self.host = host or f"{self.name}.localhost"
        if repository is not None:
            git = {"kind": "git", "url": repository.url, "branch": "main"}
            body["source"] = git | body.get("source", {})
            self.repository = repository
        made = api.post(
            f"/v1/environments/{environment}/services",
            {"kind": "application", "name": self.name, **body},
        )
        self.id: str = made["id"]
        self.webhook: str = made["webhook"]["url"]
        api.post(f"{self.path}/domains", {"host": self.host})

    @property
    def path(self) -> str:
        return f"/v1/services/{self.id}"

    def shown(self) -> dict[str, Any]:
        return self.api.get(self.path)

    def patch(self, **body: Any) -> Any:
        return self.api.patch(self.path, body)

    def changed(self) -> None:
        """What is deployed next differs from what serves: nothing is carried over."""
        items = [{"name": "CHANGED", "value": uuid.uuid4().hex}]
        self.api.ok("PUT", f"{self.path}/variables", {"items": items})

    def deploy(self, **body: Any) -> str:
        return self.api.deploy(self.id, **body)

    def live(self, **body: Any) -> dict[str, Any]:
        return self.api.live(self.id, **body)

    def again(self, what: str) -> str:
        """The id of the deployment that a `restart` or `start` requests."""
        return self.api.post(f"{self.path}/{what}")["id"]

    def failed(self, seconds: float = 120) -> dict[str, Any]:
        """A deployment that has to fail; fails with what became of it otherwise."""
        seen = self.api.ended(self.deploy(), seconds)
        assert seen["status"] == "failed", f"{seen['status']} instead of failed: {seen['error']}"
        assert seen["error"]["hint"], f"nothing says what to do: {seen['error']}"
        return seen


class Image:
    """The service under test as an image of the library's."""

    def __init__(self, version: str, **behaviour: Any) -> None:
        self.name = f"slipway-e2e-app-{uuid.uuid4().hex[:8]}:{version}"
        with tempfile.TemporaryDirectory() as folder:
            for file in ("app.py", "Dockerfile"):
                shutil.copy(HERE / "app" / file, folder)
            wanted = json.dumps({"version": version, **behaviour})
            (Path(folder) / "behaviour.json").write_text(wanted)
            docker("build", "--quiet", "--label", MARK, "--tag", self.name, folder)
        into_library(self.name, INSTANCE)

    @property
    def source(self) -> dict[str, str]:
        return {"kind": "image", "image": self.name}

    def remove(self) -> None:
        docker("image", "rm", "--force", self.name, check=False)
