"""What every kind of source promises, and what is each one's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from builder.build.work import work
from builder.kinds.raw import Raw
from builder.sources import source_of
from slipway.contracts import values
from slipway.contracts.values import (
    BuiltImage,
    GitSource,
    ImageSource,
    RawProgram,
    RawSettings,
    Source,
)
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
    played.programs.hangs = True

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
    played.engine.trouble = trouble
    failure = await why(played.job(wanted))
    assert str(trouble) in failure.detail
    assert played.left() == []


@each
async def test_however_much_is_said_the_failure_is_small(played: Played, wanted: Source):
    words = "\x01x" * 2_000_000
    played.engine.refuses = EngineRefused(words)
    played.programs.play = lambda *_: (128, words)
    failure = await why(played.job(wanted))
    assert len(orjson.dumps(failure.model_dump())) < 100_000


# -- git ------------------------------------------------------------------------------------------


async def test_the_commit_is_known_and_its_history_is_gone(played: Played):
    job = played.job(GitSource(url=URL))
    root = await source_of(GitSource(url=URL)).fetch(job)
    assert job.commit is not None
    assert (job.commit.hash, job.commit.author, job.commit.message) == (HASH, "Ada", "One")
    assert isinstance(root, Path)
    assert [entry.name for entry in root.iterdir()] == ["Dockerfile"]


@pytest.mark.parametrize("described", ["", HASH, f"{HASH}\0Ada", f"{HASH}\0Ada\0a\0b"])
async def test_a_commit_that_says_little_is_one(played: Played, described: str):
    def play(argv: list[str], _: Any) -> tuple[int, str] | None:
        return (0, described) if "log" in argv else None

    played.programs.play = play
    job = played.job(GitSource(url=URL))
    await work(job)
    assert job.commit is not None
    assert job.commit.hash == described[:40]


@pytest.mark.parametrize(
    "path", ["nothing", "x" * 300, "/".join(["x" * 200] * 30), "circle", "out", "Dockerfile"]
)
async def test_a_folder_that_is_not_there(played: Played, path: str):
    def play(argv: list[str], _: Any) -> None:
        if "log" in argv:
            source = played.root / "d1/source"
            (source / "circle").symlink_to("circle")
            (source / "out").symlink_to("/etc")

    played.programs.play = play
    failure = await why(played.job(GitSource(url=URL, path=path)))
    assert failure.reason == "folder-missing"
    assert played.left() == []


async def test_a_server_that_says_nothing(played: Played):
    played.programs.silent = True
    failure = await why(played.job(GitSource(url=URL)))
    assert failure.reason == "git-silent"
    assert URL in failure.detail


async def test_an_address_that_cannot_exist(played: Played):
    failure = await why(played.job(GitSource(url="http://git..example/app.git")))
    assert failure.reason == "git-address-refused"
    assert played.programs.ran == []


async def test_branches_that_are_there_are_offered(played: Played):
    def play(argv: list[str], _: Any) -> tuple[int, str]:
        if "ls-remote" in argv:
            return 0, "1\trefs/heads/main\n2\trefs/heads/next"
        return 128, "fatal: Remote branch mian not found in upstream origin"

    played.programs.play = play
    failure = await why(played.job(GitSource(url=URL, branch="mian")))
    assert (failure.reason, failure.hint) == ("git-branch-not-found", "branches there: main")


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
