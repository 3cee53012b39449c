"""What a service can be made of."""

import hashlib
import json
import re
import uuid
from typing import Any

import pytest

from tests.e2e import registry
from tests.e2e.api import Api
from tests.e2e.engine import docker, inspect, releases, settled
from tests.e2e.repositories import GitServer, git
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

SERVED = "FROM python:3.13-slim"
SERVE = 'CMD ["python", "-m", "http.server", "8000", "--bind", "0.0.0.0", "--directory", "/www"]'


def dockerfile(*lines: str, base: str = SERVED) -> str:
    return "\n".join([base, "WORKDIR /www", *lines, "EXPOSE 8000", SERVE, ""])


@pytest.mark.parametrize("spa", [False, True], ids=["site", "single-page"])
def test_a_static_site(api: Api, environment: str, git_server: GitServer, http_get: Any, spa: bool):
    repository = git_server.repository()
    repository.push(
        {"public/index.html": "start", "public/a/b.txt": "deep", "hidden.txt": "hidden"}
    )
    build = {"kind": "static", "directory": "public", "spa": spa}
    app = Service(api, environment, repository, build=build, **QUICK)
    app.live()
    assert http_get(app.host) == (200, "start")
    assert http_get(app.host, "/a/b.txt") == (200, "deep")
    assert "hidden" not in http_get(app.host, "/hidden.txt")[1]
    status, body = http_get(app.host, "/some/page")
    assert (status, body) == (200, "start") if spa else status == 404


def test_submodules_files_of_lfs_and_a_redirect(
    api: Api, environment: str, git_server: GitServer, http_get: Any
):
    inner, repository = git_server.repository(), git_server.repository()
    lfs = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}
    content = {name: f"content of {name} {uuid.uuid4().hex}" for name in ("outer", "inner")}
    inner.push({**lfs, "there.bin": git_server.lfs(content["inner"].encode())})
    git("submodule", "--quiet", "add", "--", inner.url, "part", cwd=repository.work)
    place = f"../{inner.url.rpartition('/')[2]}"
    git("config", "-f", ".gitmodules", "submodule.part.url", place, cwd=repository.work)
    repository.push({**lfs, "here.bin": git_server.lfs(content["outer"].encode())})
    url, _, name = repository.url.rpartition("/")
    source = {"url": f"{git_server.moved(url)}/{name}"}
    app = Service(api, environment, repository, source=source, build={"kind": "static"}, **QUICK)
    app.live()
    assert http_get(app.host, "/here.bin") == (200, content["outer"])
    assert http_get(app.host, "/part/there.bin") == (200, content["inner"])
    lost = git_server.lfs(uuid.uuid4().bytes)
    git_server.forget(lost)
    repository.push({"gone.bin": lost})
    error = app.failed()["error"]
    assert error["reason"] == "git-lfs-failed", error
    assert http_get(app.host, "/here.bin") == (200, content["outer"]), "the former one serves"


def test_an_image_that_is_copied_into_the_registry(
    api: Api, environment: str, image: Image, version_of: Any
):
    app = Service(api, environment, source=image.source, **QUICK)
    live = app.live()
    assert version_of(app.host) == "image"
    assert re.fullmatch(rf"[0-9a-f-]{{36}}/{app.id}@sha256:[0-9a-f]{{64}}", live["image"])
    assert "127.0.0.1" not in json.dumps(api.history(live["id"])), "no event names its place"
    template = inspect("service", releases(app.id)[0])["Spec"]["TaskTemplate"]
    assert template["ContainerSpec"]["Image"] == f"{registry.place()}/{live['image']}"
    assert live["commit"] is None
    names = [step["name"] for step in live["steps"]]
    assert "build: pull" in names, names


def test_a_dockerfile_with_heredoc_and_cache_mount(
    api: Api, environment: str, git_server: GitServer, http_get: Any
):
    cache = f"e2e-{uuid.uuid4().hex}"
    app = Service(api, environment, git_server.repository(), **QUICK)

    def built(number: str) -> str:
        lines = (
            f"RUN --mount=type=cache,target=/cache,id={cache} <<EOF",
            "set -e",
            f"echo {number} >> /cache/builds",
            "cp /cache/builds /www/builds",
            "EOF",
            "COPY <<EOF /www/index.html",
            f"commit {number}",
            "EOF",
        )
        app.repository.push({"Dockerfile": dockerfile(*lines)})
        app.live()
        return http_get(app.host, "/builds")[1]

    assert built("one").split() == ["one"]
    assert built("two").split() == ["one", "two"], "the cache is kept from build to build"
    assert http_get(app.host)[1].strip() == "commit two"


def test_a_secret_mount_reaches_the_step_and_nothing_else(
    api: Api, environment: str, git_server: GitServer, http_get: Any
):
    secret = f"s3cr3t-{uuid.uuid4().hex}"
    lines = (
        "RUN --mount=type=secret,id=API_KEY cat /run/secrets/API_KEY && echo",
        "RUN --mount=type=secret,id=API_KEY sha256sum /run/secrets/API_KEY > /www/sum",
    )
    repository = git_server.repository()
    repository.push({"Dockerfile": dockerfile(*lines)})
    app = Service(api, environment, repository, **QUICK)
    items = [{"name": "API_KEY", "value": secret, "secret": True}]
    api.ok("PUT", f"{app.path}/variables", {"items": items})
    live = app.live()
    wanted = hashlib.sha256(secret.encode()).hexdigest()
    assert http_get(app.host, "/sum")[1].split()[0] == wanted
    log = api.logs(live["id"])
    assert "***" in log, log
    assert secret not in log
    here = f"{registry.place()}/{live['image']}"
    history = docker("history", "--no-trunc", here)
    assert secret not in history + json.dumps(inspect("image", here))
    assert secret not in json.dumps(api.history(live["id"]))


@pytest.mark.parametrize("stage", ["", " AS fetched"])
def test_a_changed_secret_reaches_the_step(
    api: Api, environment: str, git_server: GitServer, http_get: Any, stage: str
):
    step = "RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /www/fetched"
    lines = ("RUN date +%N > /www/beside", step)
    repository = git_server.repository()
    repository.push({"Dockerfile": dockerfile(*lines, base=f"{SERVED}{stage}")})
    app = Service(api, environment, repository, **QUICK)

    def fetched(token: str) -> str:
        items = [{"name": "TOKEN", "value": token, "secret": True}]
        api.ok("PUT", f"{app.path}/variables", {"items": items})
        app.live()
        return http_get(app.host, "/fetched")[1]

    first, second = uuid.uuid4().hex, uuid.uuid4().hex
    assert fetched(first) == first
    beside = http_get(app.host, "/beside")
    repository.push({"README": "nothing of the Dockerfile"})
    assert fetched(first) == first
    assert http_get(app.host, "/beside") == beside, "with the same secret it is from the cache"
    assert fetched(second) == second
    assert fetched(first) == first


def test_build_arguments_a_target_and_a_folder(
    api: Api, environment: str, git_server: GitServer, http_get: Any
):
    lines = (
        "ARG COLOUR=none",
        "ARG REGION=none",
        "RUN echo $COLOUR $REGION > index.html",
        "FROM wanted AS other",
        "RUN echo another target > index.html",
    )
    repository = git_server.repository()
    repository.push({"services/web/docker/web": dockerfile(*lines, base=f"{SERVED} AS wanted")})
    app = Service(
        api,
        environment,
        repository,
        source={"path": "services/web"},
        build={
            "kind": "dockerfile",
            "file": "docker/web",
            "target": "wanted",
            "args": {"COLOUR": "green"},
        },
        port=8000,
        command=json.loads(SERVE.removeprefix("CMD ")),
        **QUICK,
    )
    items = [{"name": "REGION", "value": "north"}]  # a variable is an argument where it is declared
    api.ok("PUT", f"{app.path}/variables", {"items": items})
    live = app.live()
    assert http_get(app.host)[1].split() == ["green", "north"]
    assert live["commit"]["author"] == "Ada", live["commit"]


def test_limits_and_a_command_reach_the_container(
    api: Api, environment: str, image: Image, version_of: Any
):
    app = Service(
        api,
        environment,
        source=image.source,
        command="python -X utf8 app.py",
        memory_limit="96m",
        cpu_limit=0.5,
        **QUICK,
    )
    app.live()
    assert version_of(app.host) == "image"
    template = inspect("service", releases(app.id)[0])["Spec"]["TaskTemplate"]
    limits = template["Resources"]["Limits"]
    assert (limits["MemoryBytes"], limits["NanoCPUs"]) == (96 * 1024**2, 500_000_000), limits
    program = inspect("container", settled(app.id)[0])["Config"]
    whole = [*(program["Entrypoint"] or []), *(program["Cmd"] or [])]
    assert whole[-4:] == ["python", "-X", "utf8", "app.py"], whole
