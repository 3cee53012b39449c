"""Sources that can't be had: the deployment says why and what to do, leaves nothing half made, and
the platform goes on.

A full disk of the engine itself is not brought about, since others use it: a step that fills a
small file system of its own stands for it. `test_server_trouble` fills the builder's."""

import re
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from slipway.contracts import labels

from tests.e2e.api import Api
from tests.e2e.engine import address_of, container_of, eventually, half_made, running_programs
from tests.e2e.instance import INSTANCE, service
from tests.e2e.reach import let_out
from tests.e2e.repositories import GitServer, run
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

FULL = "RUN --mount=type=tmpfs,target=/small,size=1m dd if=/dev/zero of=/small/file bs=1M count=4"


def failed(
    app: Service, *reasons: str, words: tuple[str, ...], hint: str = "", seconds: float = 60
) -> Any:
    """It failed with one of the reasons and the words in its detail; nothing is left of it."""
    seen = app.failed(seconds=seconds)
    error = seen["error"]
    assert error["reason"] in reasons, error
    assert [word for word in words if word not in error["detail"]] == [], error
    assert hint in error["hint"], error
    assert error["detail"] in app.api.logs(seen["id"]), "the log says it too"
    assert half_made(app.id, seen["id"]) == {}
    return error


@pytest.fixture(scope="module")
def good(api: Api, environment: str, image: Image) -> Service:
    return Service(api, environment, source=image.source, **QUICK)


@pytest.fixture(autouse=True)
def goes_on(good: Service, version_of: Any) -> Iterator[None]:
    """After each of them a good deployment is live."""
    yield
    good.live()
    assert version_of(good.host) == "image"


def test_a_git_address_that_does_not_exist(api: Api, environment: str, git_server: GitServer):
    url = f"http://{git_server.address}/nothing-{uuid.uuid4().hex[:6]}.git"
    app = Service(api, environment, source={"kind": "git", "url": url})
    failed(app, "git-repository-not-found", words=(url,), hint="address")


def test_a_git_host_that_does_not_exist(api: Api, environment: str):
    url = "http://nowhere.invalid/app.git"
    app = Service(api, environment, source={"kind": "git", "url": url})
    failed(app, "git-unreachable", words=(url,), hint="reach")


def test_what_the_platform_and_the_machine_have_is_not_cloned_from(
    api: Api, environment: str, git_server: GitServer
):
    """Open, closed, or where nobody is: it says the same, and says it at once."""
    nats = container_of(service("nats"))
    control = address_of(nats, labels.control_network(INSTANCE))
    machine = git_server.address.partition(":")[0]
    moved = git_server.moved("http://169.254.169.254/a.git")
    urls = [
        f"http://{control}:4222/a.git",  # open
        f"http://{machine}:1/a.git",  # closed
        "http://10.213.77.1/a.git",  # nobody's
        "http://169.254.169.254/a.git",
        "http://127.0.0.1:8000/a.git",
        moved,
    ]
    app = Service(api, environment, source={"kind": "git", "url": urls[0]}, **QUICK)
    said: set[tuple[str, ...]] = set()
    for url in urls:
        app.patch(source={"kind": "git", "url": url})
        error = failed(app, "git-unreachable", words=(url,), seconds=30)
        lines = [re.sub(r"'http:\S+'|[0-9.]+", "…", line) for line in error["lines"]]
        said.add((error["detail"].replace(url, ""), error["hint"], *lines))
    assert len(said) == 1, said


def test_a_branch_that_does_not_exist(api: Api, environment: str, git_server: GitServer):
    repository = git_server.repository()
    repository.behave("main")
    app = Service(api, environment, repository, source={"branch": "mian"})
    failed(app, "git-branch-not-found", words=(repository.url, "mian"), hint="main")


def test_a_folder_and_a_dockerfile_that_do_not_exist(
    api: Api, environment: str, git_server: GitServer
):
    repository = git_server.repository()
    repository.behave("main")
    app = Service(api, environment, repository, source={"path": "services/web"})
    failed(app, "folder-missing", words=("services/web",))
    source = {"kind": "git", "url": repository.url, "branch": "main"}
    app.patch(source=source, build={"kind": "dockerfile", "file": "Containerfile"})
    failed(app, "dockerfile-missing", words=("Containerfile",), hint="Dockerfile")


def test_a_host_and_a_folder_that_cannot_exist(api: Api, environment: str, git_server: GitServer):
    url = "http://git..example/app.git"
    app = Service(api, environment, source={"kind": "git", "url": url})
    failed(app, "git-address-refused", words=(url,), hint="address")
    repository = git_server.repository()
    repository.behave("main")
    app.patch(source={"kind": "git", "url": repository.url, "path": "x" * 300})
    failed(app, "folder-missing", words=("x" * 300,))


def test_a_git_server_that_says_nothing(api: Api, environment: str, git_server: GitServer):
    """It would hold one of the slots that all share. Who cancels does not wait for it."""
    with socket.create_server((git_server.address.partition(":")[0], 0)) as server:
        address = "{}:{}".format(*server.getsockname())
        url = f"http://{address}/app.git"
        app = Service(api, environment, source={"kind": "git", "url": url})
        with let_out(api, address):
            deployment = app.deploy()
            eventually("git asks", lambda: running_programs(f"{url} "), 30)
            api.post(f"/v1/deployments/{deployment}/cancel")
            eventually("no git runs", lambda: not running_programs(f"{url} "), 5)
            api.until(deployment, "cancelled", seconds=5)
            failed(app, "git-silent", words=(url, "60 s"), hint="works", seconds=80)


def test_a_variable_that_no_program_can_be_given(api: Api, environment: str, git_server: GitServer):
    repository = git_server.repository()
    repository.behave("main")
    app = Service(api, environment, repository)
    part = {"name": "PART", "value": "é" * 20_000}
    huge = {"name": "HUGE", "value": "${{PART}}" * 4}
    refused = api.call("PUT", f"{app.path}/variables", {"items": [part, huge]})
    assert (refused.status_code, "131000 bytes" in refused.text) == (422, True)
    # How long a secret is that was set before, only the builder knows.
    api.ok("PUT", f"{app.path}/variables", {"items": [{**part, "secret": True}]})
    kept = {"name": "PART", "secret": True}
    api.ok("PUT", f"{app.path}/variables", {"items": [kept, huge]})
    failed(app, "variable-too-large", words=("HUGE", "131000 bytes"), hint="shorter")


LONG = "x" * 60_000 + "\\\n"
HOSTILE = {
    "a line that BuildKit does not take": (
        f"RUN echo {'x' * 540_000}", "dockerfile-invalid", "longer than 65535"
    ),
    "an instruction without an end": (
        LONG.replace("x", "X") * 10 + " a", "dockerfile-invalid", "unknown instruction: XXX"
    ),
    "a command without an end": (f"RUN echo {LONG * 9}", "build-step-failed", "RUN echo xxx"),
    "a line of output without an end": (
        run(
            "import sys, time\n"
            "for _ in range(84): print('z' * 10000, end='', flush=True); time.sleep(0.02)\n"
            "sys.exit(1)"
        ),
        "build-step-failed",
        "exit code 1",
    ),
    "control characters": (
        run("for _ in range(20): print(chr(1) * 16000)\nexit(1)"),
        "build-step-failed",
        "exit code 1",
    ),
    "many lines at once": (
        run("print(('x' * 4095 + chr(10)) * 480)\nexit(1)"), "build-step-failed", "exit code 1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_more_than_fits(api: Api, environment: str, git_server: GitServer, what: str):
    """It is told clipped, and nothing is tried for ever."""
    line, reason, words = HOSTILE[what]
    repository = git_server.repository()
    repository.behave("main", line)
    app = Service(api, environment, repository)
    error = failed(app, reason, words=(words,))
    assert sum(map(len, error["lines"])) < 100_000


def test_an_image_that_cannot_be_pulled(api: Api, environment: str):
    name = "127.0.0.1:9/nothing/here:1"
    app = Service(api, environment, source={"kind": "image", "image": name})
    failed(app, "image-pull-failed", words=(name,), hint="registry")


def test_a_base_image_that_cannot_be_pulled(api: Api, environment: str, git_server: GitServer):
    repository = git_server.repository()
    repository.push({"Dockerfile": "FROM 127.0.0.1:9/nothing/here:1\n"})
    app = Service(api, environment, repository)
    failed(app, "base-image-missing", words=("line 1", "nothing/here"), hint="registry")


def test_a_disk_that_is_full_while_a_step_runs(api: Api, environment: str, git_server: GitServer):
    repository = git_server.repository()
    repository.behave("main", FULL)
    app = Service(api, environment, repository)
    error = failed(app, "disk-full", words=("no space",), hint="free space")
    assert "no space left on device" in "\n".join(error["lines"]).lower(), error
