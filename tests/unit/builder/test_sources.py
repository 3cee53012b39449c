"""What every kind of source promises, and what is each one's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from builder.adapters.containers import NotReady
from builder.build.work import work
from builder.cloning.order import NotCloned, Order
from builder.kinds.raw import Raw
from builder.sources import source_of
from slipway.contracts import values
from slipway.contracts.values import (
    BuiltImage,
    DockerfileBuild,
    GitSource,
    ImageSource,
    RawProgram,
    RawSettings,
    Source,
)
from slipway.contracts.workload import Workloads
from slipway.runtime.engine import EngineAway, EngineRefused

from tests.unit.builder.parts import BUILT, HASH, Played, cancelled, image_of, why

URL = "http://140.82.121.4/shop/app.git"
IMAGE = BuiltImage(reference=BUILT, node="node1", source="nginx:1")
KINDS: list[Source] = [GitSource(url=URL), ImageSource(image="nginx:1")]
each = pytest.mark.parametrize("wanted", KINDS, ids=lambda wanted: wanted.kind)


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path)


def test_every_kind_is_held_to_it():
    union = get_args(get_args(values.Source.__value__)[0])
    assert set(union) == {type(wanted) for wanted in KINDS}


@each
async def test_it_gives_a_folder_of_its_source_or_an_image(played: Played, wanted: Source):
    job = played.job(wanted)
    part = source_of(wanted)
    found = await part.fetch(job)
    if isinstance(found, Path):
        assert part.is_built
        assert found.is_relative_to(job.source)
        assert found.is_dir()
    else:
        assert not part.is_built
        assert found == IMAGE
    assert job.steps
    assert all(step.ended for step in job.steps)


@each
async def test_when_it_is_cancelled_nothing_is_left(played: Played, wanted: Source):
    job = played.job(wanted)
    played.programs.hangs = played.clones.hangs = True

    async def hang(reference: str) -> None:
        await played.programs([])

    played.engine.pull = hang
    async with cancelled(job):
        pass
    assert played.left() == []


@each
@pytest.mark.parametrize("trouble", [EngineAway("no answer"), EngineRefused("it broke")])
async def test_trouble_of_the_engine_is_explained(
    played: Played, wanted: Source, trouble: Exception
):
    played.engine.trouble = played.kits.trouble = trouble
    failure = await why(played.job(wanted))
    assert str(trouble) in failure.detail
    assert played.left() == []


@each
async def test_what_it_needs_does_not_come_up(played: Played, wanted: Source):
    played.kits.trouble = NotReady("the rules do not stand")
    failure = await why(played.job(wanted))
    assert failure.reason == "build-place-away"
    assert "the rules do not stand" in failure.detail


@each
async def test_it_works_where_the_organizations_builds_do(played: Played, wanted: Source):
    await work(played.job(wanted))
    containers = [container for container, _ in played.clones.orders]
    assert [*played.kits.taken_by, *containers]
    assert set(containers) <= {"slipway-clone-org"}
    assert set(played.kits.taken_by) == {"org"}
    assert {argv[0] for argv in played.programs.ran} == {"buildctl"}


@each
async def test_however_much_is_said_the_failure_is_small(played: Played, wanted: Source):
    words = "\x01x" * 2_000_000
    played.engine.refuses = EngineRefused(words)
    played.programs.play = lambda *_: (128, words)
    played.clones.play = lambda *_: NotCloned("git", words)
    failure = await why(played.job(wanted))
    assert len(orjson.dumps(failure.model_dump())) < 100_000


# -- git ------------------------------------------------------------------------------------------


async def test_it_is_cloned_in_the_organizations_own_network(played: Played):
    job = played.job(GitSource(url=URL, branch="next"))
    root = await source_of(GitSource(url=URL, branch="next")).fetch(job)
    assert job.commit is not None
    assert (job.commit.hash, job.commit.author, job.commit.message) == (HASH, "Ada", "One")
    assert isinstance(root, Path)
    assert played.clones.orders == [("slipway-clone-org", Order(URL, branch="next"))]
    assert played.programs.ran == [], "nothing runs beside the builder"


@pytest.mark.parametrize(
    ("url", "there"), [("http://sample-git/sample.git", True), ("http://x.sample-git/a", False)]
)
async def test_the_samples_server_is_let_in_for_who_clones_from_it(
    played: Played, url: str, there: bool
):
    await work(played.job(GitSource(url=url)))
    assert played.kits.with_sample == [there]


@pytest.mark.parametrize("more", [{"branch": "a"}, {"tag": "v1"}, {"commit": HASH}, {}])
async def test_what_is_named_is_cloned(played: Played, more: Any):
    await work(played.job(GitSource(url=URL, **more)))
    assert played.clones.orders[0][1] == Order(URL, **more)


@pytest.mark.parametrize(("said", "history"), [("1", True), ("true", True), ("0", False)])
async def test_its_history_is_there_where_the_dockerfile_is_to_have_it(
    played: Played, said: str, history: bool
):
    build = DockerfileBuild(args={"BUILDKIT_CONTEXT_KEEP_GIT_DIR": said})
    await work(played.job(GitSource(url=URL), build))
    assert played.clones.orders[0][1].history is history


async def test_the_program_and_the_dockerfile_know_the_commit(played: Played):
    """The owner's own variables of those names win; arguments are those that are declared."""
    text = "FROM x\nARG SLIPWAY_GIT_COMMIT\nARG SLIPWAY_GIT_BRANCH\n"
    played.clones.files = {"Dockerfile": text}
    mine = {"SLIPWAY_GIT_BRANCH": "mine"}
    made = await work(played.job(GitSource(url=URL, branch="next"), variables=mine))
    assert isinstance(made, Workloads)
    environment = dict(made.items[0].environment)
    assert environment == {
        "SLIPWAY_GIT_COMMIT": HASH,
        "SLIPWAY_GIT_BRANCH": "mine",
        "SLIPWAY_GIT_MESSAGE": "One",
        "SLIPWAY_GIT_AUTHOR": "Ada",
    }
    (argv,) = [argv for argv in played.programs.ran if "buildctl" in argv]
    args = [word for word in argv if word.startswith("build-arg:")]
    assert args == ["build-arg:SLIPWAY_GIT_BRANCH=mine", f"build-arg:SLIPWAY_GIT_COMMIT={HASH}"]


async def test_how_far_it_came_is_in_the_log(played: Played):
    played.clones.play = lambda _, __, tell: tell("Receiving objects:  45% (9/20)")
    job = played.job(GitSource(url=URL))
    await work(job)
    assert "Receiving objects:  45% (9/20)" in await played.said(job)


@pytest.mark.parametrize(("ends", "reason"), [(1, None), (2, "git-ended")])
async def test_one_that_ended_without_a_word_is_begun_once_more(
    played: Played, ends: int, reason: str | None
):
    def play(_: Order, folder: Path, __: object) -> NotCloned | None:
        assert not (folder / "left").exists()
        (folder / "left").touch()
        return NotCloned("ended") if len(played.clones.orders) <= ends else None

    played.clones.play = play
    if reason is None:
        await work(played.job(GitSource(url=URL)))
    else:
        assert (await why(played.job(GitSource(url=URL)))).reason == reason
    assert len(played.clones.orders) == 2


@pytest.mark.parametrize("said", ["git", "silent", "size"])
async def test_one_that_failed_is_not(played: Played, said: str):
    played.clones.play = lambda *_: NotCloned(said)
    await why(played.job(GitSource(url=URL)))
    assert len(played.clones.orders) == 1


async def test_a_password_in_an_address_that_a_repository_names_is_not_said(played: Played):
    said = "fatal: clone of 'http://ada:s3cret@git.example/mine.git' into submodule failed"

    def play(_: Order, __: Path, tell: Callable[[str], None]) -> NotCloned:
        tell(said)
        return NotCloned("submodules", said)

    played.clones.play = play
    job = played.job(GitSource(url=URL))
    failure = await why(job)
    for text in (repr(failure), repr(await played.said(job))):
        assert "http://git.example/mine.git" in text
        assert "s3cret" not in text


async def test_a_clone_that_talks_without_end_fills_no_log(played: Played):
    def play(_: Order, __: Path, tell: Callable[[str], None]) -> None:
        for _line in range(50_000):
            tell("x" * 500)

    played.clones.play = play
    job = played.job(GitSource(url=URL))
    await work(job)
    assert sum(map(len, await played.said(job))) < 6 << 20


@pytest.mark.parametrize(
    "path", ["nothing", "x" * 300, "/".join(["x" * 200] * 30), "circle", "out", "Dockerfile"]
)
async def test_a_folder_that_is_not_there(played: Played, path: str):
    def play(_: Order, folder: Path, __: object) -> None:
        (folder / "circle").symlink_to("circle")
        (folder / "out").symlink_to("/etc")

    played.clones.play = play
    failure = await why(played.job(GitSource(url=URL, path=path)))
    assert failure.reason == "folder-missing"
    assert played.left() == []


REFUSED = {
    "ext::sh -c id": "http",
    "file:///etc": "http",
    "ssh://git@git.example/a.git": "http",
    "git@git.example:a.git": "http",
    "--upload-pack=id": "http",
    "http://": "can exist",
    "http://git..example/app.git": "can exist",
    f"http://{'a' * 64}.example/a.git": "can exist",
    "http://a:70000/a.git": "can exist",
    "http://a:0/a.git": "can exist",
    "http://[::1/a.git": "can exist",
    "http://git.example/a b.git": "blanks",
    "http://git.example/a\nb.git": "blanks",
    "https://ada:hunter2@git.example/a.git": "credentials",
    "https://ada:hun@ter2@git.example/a.git": "credentials",
    "https://hunter2@git.example/a.git": "credentials",
}


@pytest.mark.parametrize("url", REFUSED)
async def test_what_is_no_plain_http_address_is_not_tried(played: Played, url: str):
    """However it came into the log: the gateway refuses it too."""
    job = played.job(GitSource(url=url))
    failure = await why(job)
    assert failure.reason == "git-address-refused"
    assert REFUSED[url] in failure.detail
    assert played.clones.orders == []
    assert "ter2" not in failure.model_dump_json() + "".join(await played.said(job))


@pytest.mark.parametrize(
    "url", ["http://[::1]:80/a.git", "http://a_b/x", "https://müll.example./x"]
)
async def test_other_addresses_are_left_to_the_guard(played: Played, url: str):
    await work(played.job(GitSource(url=url)))
    assert len(played.clones.orders) == 1


# -- image ----------------------------------------------------------------------------------------


def copying(played: Played, *statuses: dict[str, Any], code: int = 0) -> list[str]:
    """The Dockerfiles that the organization's BuildKit is given."""
    seen: list[str] = []

    def play(argv: list[str], on_line: Callable[[str], None]) -> tuple[int, str] | None:
        if "buildctl" not in argv:
            return None
        folder = next(word for word in argv if word.startswith("dockerfile="))
        file = next(word for word in argv if word.startswith("filename="))
        path = Path(folder.partition("=")[2]) / file.partition("=")[2]
        seen.append(path.read_text())
        for status in statuses:
            on_line(json.dumps(status))
        return (code, "") if code else None

    played.programs.play = play
    return seen


async def test_it_is_copied_by_the_organizations_buildkit(played: Played):
    seen = copying(played)
    job = played.job(ImageSource(image="nginx:1"))
    assert await image_of(job) == IMAGE
    assert not job.built
    assert seen == ["FROM nginx:1\n"]
    assert played.kits.taken_by == ["org"]
    assert played.engine.pulled == [BUILT], "the engine takes nothing from elsewhere"
    (argv,) = [argv for argv in played.programs.ran if "buildctl" in argv]
    assert "label:slipway.service=a1" in argv, "it goes with its service"


async def test_what_lies_on_the_engine_by_that_name_is_not_taken(played: Played):
    error = "failed to resolve source metadata for docker.io/library/nginx:1: not found"
    step = {"digest": "v", "name": "[internal] load metadata for docker.io/library/nginx:1"}
    copying(played, {"vertexes": [{**step, "error": error}]}, code=1)
    for name in ("nginx:1", "sha256:96", "slipway/a2:d2"):
        played.engine.here[name] = IMAGE
        failure = await why(played.job(ImageSource(image=name)))
        assert failure.reason == "image-pull-failed"
        assert name in failure.detail
        assert "not found" in failure.detail
    assert played.engine.pulled == []


async def test_a_registry_without_a_token_is_no_engine_that_is_away(played: Played):
    error = "failed to fetch anonymous token: unable to decode token response: EOF"
    step = {"digest": "v", "name": "[internal] load metadata for r:5000/a:1"}
    copying(played, {"vertexes": [{**step, "error": error}]}, code=1)
    failure = await why(played.job(ImageSource(image="r:5000/a:1")))
    assert failure.reason == "image-pull-failed"
    assert failure.detail == f"the image r:5000/a:1 can't be pulled: {error}"


@pytest.mark.parametrize(
    ("name", "pulled"), [("nginx", "nginx:latest"), ("r:5000/a", "r:5000/a:latest"), ("a@b", "a@b")]
)
async def test_without_a_tag_it_is_the_latest(played: Played, name: str, pulled: str):
    seen = copying(played)
    await image_of(played.job(ImageSource(image=name)))
    assert seen == [f"FROM {pulled}\n"]


@pytest.mark.parametrize("name", ["$A", "a AS b", "a\nRUN b", "--platform=x", "#a", "", "a\\b"])
async def test_a_name_is_nothing_else_to_a_dockerfile(played: Played, name: str):
    seen = copying(played)
    failure = await why(played.job(ImageSource(image=name)))
    assert failure.reason == "image-pull-failed"
    assert seen == []


async def test_the_registry_of_its_own_is_away(played: Played):
    played.engine.refuses = EngineRefused("connection refused")
    failure = await why(played.job(ImageSource(image="nginx:1")))
    assert failure.reason == "engine-refused"
    assert "connection refused" in failure.detail


async def test_an_image_that_several_workloads_have_is_copied_once(played: Played):
    named = {"web": "nginx", "job": "nginx", "other": "nginx:latest"}
    programs = tuple(RawProgram(name=name, image=image) for name, image in named.items())
    found = await Raw(RawSettings(workloads=programs)).images(played.job(KINDS[1]))
    assert {name: image.reference for name, image in found.items()} == dict.fromkeys(named, BUILT)
    assert [argv[0] for argv in played.programs.ran] == ["buildctl", "buildctl"]
