"""What every kind of build promises, and what is each one's own."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from builder.adapters.containers import NotReady
from builder.build.job import End, Job
from builder.build.work import work
from builder.builders import builder_of
from slipway.contracts import values
from slipway.contracts.redact import Redactor
from slipway.contracts.values import Build, DockerfileBuild, GitSource, StaticBuild
from slipway.runtime.engine import EngineAway

from tests.unit.builder.parts import BUILT, Played, cancelled, image_of, why

SOURCE = GitSource(url="http://140.82.121.4/shop/app.git")
KINDS: list[tuple[Build, dict[str, str]]] = [
    (DockerfileBuild(), {"Dockerfile": "FROM scratch\n"}),
    (StaticBuild(), {"index.html": "Hello"}),
]
"""What is asked for, and the files of a repository that has what it needs."""
each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0].kind)
AT = "2026-01-01T10:00:00Z"
STEP = {"digest": "v", "name": "[1/1] RUN make", "started": AT}


@pytest.fixture
def kind() -> tuple[Build, dict[str, str]]:
    return KINDS[0]


@pytest.fixture
def wanted(kind: tuple[Build, dict[str, str]]) -> Build:
    return kind[0]


@pytest.fixture
def played(tmp_path: Path, kind: tuple[Build, dict[str, str]]) -> Played:
    played = Played(tmp_path)
    played.clones.files = kind[1]
    return played


def buildkit(*statuses: dict[str, Any] | str, code: int = 0) -> Callable[..., Any]:
    """It tells these, and ends so."""

    def play(argv: list[str], on_line: Callable[[str], None]) -> tuple[int, str] | None:
        if "buildctl" not in argv:
            return None
        for status in statuses:
            on_line(status if isinstance(status, str) else json.dumps(status))
        return (code, "") if code else None

    return play


def arguments(played: Played) -> list[str]:
    """BuildKit's."""
    return next(argv for argv in played.programs.ran if "buildctl" in argv)


def options(argv: list[str], name: str, kind: str = "") -> list[str]:
    """`kind`: of `--opt`, those that begin so."""
    said = [argv[at + 1] for at, word in enumerate(argv) if word == name]
    return [value.removeprefix(kind) for value in said if value.startswith(kind)]


def test_every_kind_is_held_to_it():
    union = get_args(get_args(values.Build.__value__)[0])
    assert set(union) == {type(wanted) for wanted, _ in KINDS}


@each
async def test_it_makes_an_image_that_its_service_owns(played: Played, wanted: Build):
    job = played.job(SOURCE, wanted)
    assert (await image_of(job)).reference == BUILT
    assert job.built
    argv = arguments(played)
    (output,) = options(argv, "--output")
    assert output == "type=image,name=registry:5000/org/a1:d1,push=true"
    assert played.engine.pulled == [BUILT], "it is on the node before anything is stopped for it"
    told = options(argv, "--opt", "label:")
    assert set(told) == {"slipway.instance=slipway", "slipway.org=org", "slipway.service=a1"}, (
        "nothing of the deployment: what is built of the same is the same"
    )
    assert played.left() == []


@each
async def test_no_secret_stands_in_an_argument(played: Played, wanted: Build):
    declared = {"Dockerfile": "FROM x\nARG KEY\nARG PLAIN\n"}
    played.clones.files = {**played.clones.files, **declared}
    job = played.job(
        SOURCE, wanted, variables={"KEY": "hunter2", "PLAIN": "seen"},
        secret_names=frozenset({"KEY"}),
    )  # fmt: skip
    await work(job)
    assert not any("hunter2" in word for word in arguments(played))
    assert len(options(arguments(played), "--secret")) == 2


@each
async def test_when_it_is_cancelled_nothing_is_left(played: Played, wanted: Build):
    def play(argv: list[str], _: Any) -> None:
        played.programs.hangs = "buildctl" in argv

    played.programs.play = play
    async with cancelled(played.job(SOURCE, wanted)):
        assert played.left() != []
    assert played.left() == []


@each
async def test_its_steps_are_told_also_when_it_fails(played: Played, wanted: Build):
    error = "process make did not complete successfully: exit code: 2"
    played.programs.play = buildkit({"vertexes": [{**STEP, "error": error}]}, code=1)
    job = played.job(SOURCE, wanted)
    failure = await why(job)
    assert failure.reason == "build-step-failed"
    assert "RUN make ended with exit code 2" in failure.detail
    assert [step.name for step in job.steps] == ["clone", "[1/1] RUN make"]
    assert played.left() == []


@each
async def test_however_much_is_said_the_failure_is_small(played: Played, wanted: Build):
    name = f"[1/1] RUN echo {'x' * 540_000}"
    line = base64.b64encode(b"\x01" * 840_000 + b"\n").decode()
    played.programs.play = buildkit(
        {"vertexes": [{**STEP, "name": name}]},
        *({"logs": [{"vertex": "v", "data": line, "timestamp": AT}]} for _ in range(50)),
        {"vertexes": [{**STEP, "name": name, "error": f"{name}: exit code: 1"}]},
        *("y" * 600_000 for _ in range(50)),
        code=1,
    )
    job = played.job(SOURCE, wanted)
    failure = await why(job)
    assert failure.detail.endswith("ended with exit code 1")
    assert len(orjson.dumps(failure.model_dump())) < 100_000
    assert len(orjson.dumps([step.model_dump() for step in job.steps])) < 2000
    await job.log.close()
    batches = [lines async for _, lines in played.logs.read("log.org.build.d1")]
    assert max(len(orjson.dumps([x.model_dump() for x in batch])) for batch in batches) < 600_000


@each
async def test_secrets_are_taken_out_of_a_failure(played: Played, wanted: Build):
    data = base64.b64encode(b"the key is hunter2\n").decode()
    played.programs.play = buildkit(
        {"vertexes": [STEP]},
        {"logs": [{"vertex": "v", "data": data, "timestamp": AT}]},
        {"vertexes": [{**STEP, "error": "hunter2: exit code: 1"}]},
        code=1,
    )
    job = played.job(SOURCE, wanted)
    job.log.hide(Redactor(["hunter2"]))
    assert "hunter2" not in (await why(job)).model_dump_json()


@each
async def test_secrets_are_taken_out_of_the_names_of_steps(played: Played, wanted: Build):
    """BuildKit writes build arguments out where a step is named by them."""
    name = f"[2/3] COPY hunter2 {'x' * 460} \x1b[31mhunter2 ."  # the second is across the cut
    played.programs.play = buildkit(
        {"vertexes": [{**STEP, "name": name, "error": "exit code: 1"}]}, code=1
    )
    job = played.job(SOURCE, wanted)
    job.log.hide(Redactor(["hunter2"]))
    failure = await why(job)
    await job.log.close()
    lines = [line async for _, lines in played.logs.read("log.org.build.d1") for line in lines]
    for said in (failure, *job.steps, *lines):
        assert "hun" not in said.model_dump_json()
        assert "\\u001b" not in said.model_dump_json()
    assert any(step.name.startswith("[2/3] COPY *** xxx") for step in job.steps)


@each
async def test_more_variables_than_a_program_takes(played: Played, wanted: Build):
    def play(argv: list[str], _: Any) -> None:
        if "buildctl" in argv:
            raise OSError(7, "Argument list too long")

    played.programs.play = play
    assert (await why(played.job(SOURCE, wanted))).reason == "variables-too-large"


@each
async def test_a_full_disk_and_an_engine_that_is_away(played: Played, wanted: Build):
    def full(argv: list[str], _: Any) -> None:
        if "buildctl" in argv:
            raise OSError(28, "No space left on device")

    def away(argv: list[str], _: Any) -> None:
        if "buildctl" in argv:
            played.engine.trouble = EngineAway("no answer")

    played.programs.play = full
    assert (await why(played.job(SOURCE, wanted))).reason == "disk-full"
    played.programs.play = away
    assert (await why(played.job(SOURCE, wanted))).reason == "engine-away"
    assert played.left() == []


# -- the organization's BuildKit ------------------------------------------------------------------


@each
async def test_it_is_the_organizations_own(played: Played, wanted: Build):
    seen: dict[str, Any] = {}

    def play(argv: list[str], _: Any) -> None:
        if "buildctl" in argv:
            seen.update(json.loads((played.root / "d1/client/config.json").read_text()))

    played.programs.play = play
    await work(played.job(SOURCE, wanted))
    assert played.kits.taken_by == ["org"]
    assert options(arguments(played), "--addr") == ["docker-container://slipway-build-org"]
    auth = {"auth": base64.b64encode(b"org:hunter3").decode()}
    assert seen == {"auths": {"registry:5000": auth}}
    assert not any("hunter3" in word for word in arguments(played))
    # Else it would be the builder that calls what a registry names.
    assert played.programs.given[-1]["BUILDKIT_NO_CLIENT_TOKEN"] == "true"


@each
@pytest.mark.parametrize("end", ["gone", "registry"])
async def test_one_that_ends_in_the_middle_is_asked_once_more(
    played: Played, wanted: Build, end: End
):
    error = "error reading from server: EOF"
    left = [1]

    def play(argv: list[str], on_line: Callable[[str], None]) -> tuple[int, str] | None:
        if "buildctl" not in argv or not left:
            return None
        left.pop()
        on_line(json.dumps({"vertexes": [{**STEP, "error": error}]}))
        return 1, ""

    played.programs.play = play
    played.kits.ends = [end]
    job = played.job(SOURCE, wanted)
    assert (await image_of(job)).reference == BUILT
    assert [step.name for step in job.steps] == ["clone"]
    assert played.kits.taken_by == ["org", "org"]


@each
async def test_one_that_ends_each_time(played: Played, wanted: Build):
    played.programs.play = buildkit({"vertexes": [STEP]}, code=1)
    played.kits.ends = ["gone", "gone", "gone"]
    assert (await why(played.job(SOURCE, wanted))).reason == "build-place-ended"
    assert len(played.kits.taken_by) == 2


@each
async def test_the_limit_of_memory_is_named(played: Played, wanted: Build):
    error = "process make did not complete successfully: exit code: 137"
    played.programs.play = buildkit({"vertexes": [{**STEP, "error": error}]}, code=1)
    played.kits.ends = ["memory"]
    failure = await why(played.job(SOURCE, wanted))
    assert failure.reason == "build-memory-limit"
    assert "3072 MiB" in failure.detail
    assert "RUN make ended with exit code 137" in failure.detail


@each
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("bash: fork: retry: Resource temporarily unavailable", "build-process-limit"),
        ("RuntimeError: can't start new thread", "build-process-limit"),
        ("make: *** No rule to make target", "build-step-failed"),
    ],
)
async def test_the_limit_of_processes_is_named(
    played: Played, wanted: Build, line: str, reason: str
):
    data = base64.b64encode(f"{line}\n".encode()).decode()
    played.programs.play = buildkit(
        {"vertexes": [STEP]},
        {"logs": [{"vertex": "v", "data": data, "timestamp": AT}]},
        {"vertexes": [{**STEP, "error": "exit code: 1"}]},
        code=1,
    )
    failure = await why(played.job(SOURCE, wanted))
    assert failure.reason == reason
    assert ("2048" in failure.detail) == (reason == "build-process-limit")


@each
async def test_what_builds_need_does_not_come_up(played: Played, wanted: Build):
    played.kits.trouble = NotReady("the registry is not up: port 5000 is taken")
    failure = await why(played.job(SOURCE, wanted))
    assert failure.reason == "build-place-away"
    assert "port 5000 is taken" in failure.detail
    assert played.left() == []


# -- Dockerfile -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["Containerfile", "x" * 300, "circle", "out", "."])
async def test_a_dockerfile_that_is_not_there(played: Played, file: str):
    def play(argv: list[str], _: Any) -> None:
        if "log" in argv:
            (played.root / "d1/source/circle").symlink_to("circle")
            (played.root / "d1/source/out").symlink_to("/etc/hostname")

    played.programs.play = play
    failure = await why(played.job(SOURCE, DockerfileBuild(file=file)))
    assert failure.reason == "dockerfile-missing"
    assert "Dockerfile" in failure.hint


async def test_a_lower_case_one_is_found_where_none_is_named(played: Played):
    played.clones.files = {"dockerfile": "FROM scratch\n"}
    await image_of(played.job(SOURCE, DockerfileBuild()))
    assert options(arguments(played), "--opt", "filename=") == ["dockerfile"]
    await why(played.job(SOURCE, DockerfileBuild(file="Containerfile")))


async def test_without_a_word_it_is_the_dockerfile(played: Played):
    assert builder_of(None) == builder_of(DockerfileBuild())


async def test_what_the_dockerfile_declares_is_passed_and_the_owners_word_wins(played: Played):
    played.clones.files = {"Dockerfile": "FROM x\nARG A\nARG B\nARG D\n"}
    wanted = DockerfileBuild(args={"B": "own", "E": "own"}, target="web")
    job: Job = played.job(
        SOURCE, wanted, variables={"A": "1", "B": "2", "C": "3", "D": "4"},
        secret_names=frozenset({"D"}),
    )  # fmt: skip
    await work(job)
    argv = arguments(played)
    assert options(argv, "--opt", "build-arg:") == ["A=1", "B=own", "E=own"]
    assert options(argv, "--opt", "target=") == ["web"]


# -- static ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("directory", ["nothing", "x" * 300])
async def test_a_directory_that_is_not_there(played: Played, directory: str):
    failure = await why(played.job(SOURCE, StaticBuild(directory=directory)))
    assert failure.reason == "folder-missing"


async def test_the_servers_files_stand_beside_the_site(played: Played):
    seen: dict[str, str] = {}

    def play(argv: list[str], _: Any) -> None:
        if "buildctl" in argv:
            (context,) = options(argv, "--local", "conf=")
            folder = Path(context)
            seen.update({entry.name: entry.read_text() for entry in folder.iterdir()})

    played.programs.play = play
    await work(played.job(SOURCE, StaticBuild(spa=True)))
    assert "/index.html" in seen["nginx.slipway.conf"]
    argv = arguments(played)
    assert options(argv, "--local", "context=") == [str(played.root / "d1/source")]
    assert options(argv, "--opt", "context:") == ["conf=local:conf"]
