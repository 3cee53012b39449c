"""Steps that are given secrets run again where a secret has changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from builder.build import stages
from builder.build.work import work
from builder.builders.remembered import Remembered
from slipway.contracts.values import DockerfileBuild, GitSource

from tests.unit.builder.parts import Played, why

STEP = "RUN --mount=type=secret,id=TOKEN fetch"
SOURCE = GitSource(url="http://140.82.121.4/shop/app.git")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("FROM x", "RUN --mount=type=cache,target=/c make"), []),
        (("FROM x AS one", STEP), [("one", {"TOKEN"})]),
        (("FROM --platform=linux/amd64 x as One", STEP), [("One", {"TOKEN"})]),
        (("FROM x", STEP), [("", {"TOKEN"})]),
        (("FROM x AS one", "RUN make", "FROM y AS two", STEP), [("two", {"TOKEN"})]),
        (("FROM x AS a", "RUN --mount=type=secret,target=/run/secrets/KEY b"), [("a", {"KEY"})]),
        (("FROM x AS a", "RUN --mount=type=secret b"), [("a", None)]),
        (("FROM x AS a", "RUN --mount=type=secret,id=$A b"), [("a", None)]),
        (("FROM x AS a", "RUN --mount=$M b"), [("a", None)]),
        (("FROM x AS a", f"{STEP} --mount=id=B,type=secret c"), [("a", {"TOKEN", "B"})]),
        (("FROM x AS a", "RUN \\", "# why", " --mount=type=secret,id=A \\", " b"), [("a", {"A"})]),
        (("FROM x AS a", 'RUN --mount="type=secret,id=A" b'), [("a", {"A"})]),
    ],
)  # fmt: skip
def test_what_a_dockerfile_gives_secrets_to(lines: tuple[str, ...], found: list[Any]):
    steps = stages.secret_steps("\n".join(lines))
    assert [(step.stage, step.ids) for step in steps] == found


def marks(text: str = STEP, organization: str = "org", **secrets: str) -> dict[str, str]:
    steps = stages.secret_steps(f"FROM x AS a\n{text}\n")
    return stages.marks(steps, secrets, organization, b"key")


def test_a_mark_follows_what_the_step_is_given_alone():
    first = marks(TOKEN="1", OTHER="1")
    assert marks(TOKEN="1", OTHER="2") == first
    assert marks(TOKEN="2", OTHER="1") != first
    assert marks(TOKEN="2").keys() == first.keys(), "the step is the same"
    assert marks(TOKEN="1", organization="other").keys() != first.keys()
    every = "RUN --mount=type=secret b"
    assert marks(every, A="1", B="1") != marks(every, A="1", B="2")


def test_until_a_build_went_well_nobody_knows(tmp_path: Path):
    one, two = marks(TOKEN="1"), marks(TOKEN="2")
    first = Remembered(tmp_path, "org", "d1")
    assert first.differ(one)
    first.begin(one)
    assert Remembered(tmp_path, "org", "d2").differ(one), "it may have failed behind the step"
    first.end(one)
    assert not Remembered(tmp_path, "org", "d2").differ(one)
    assert Remembered(tmp_path, "org", "d2").differ(two)
    assert Remembered(tmp_path, "other", "d2").differ(one)


@pytest.mark.parametrize("first_to_end", ["d1", "d2"])
def test_of_two_at_once_nothing_is_known(tmp_path: Path, first_to_end: str):
    one, two = marks(TOKEN="1"), marks(TOKEN="2")
    builds = {"d1": one, "d2": two}
    for build, its in builds.items():
        Remembered(tmp_path, "org", build).begin(its)
    for build in sorted(builds, key=lambda build: build != first_to_end):
        Remembered(tmp_path, "org", build).end(builds[build])
    later = Remembered(tmp_path, "org", "d3")
    assert later.differ(one)
    assert later.differ(two)


def test_a_file_that_is_broken_lets_it_run_again(tmp_path: Path):
    one = marks(TOKEN="1")
    remembered = Remembered(tmp_path, "org", "d1")
    remembered.begin(one)
    remembered.end(one)
    (tmp_path / "marks/org.json").write_text("{")
    assert remembered.differ(one)


def no_cache(played: Played) -> list[str]:
    argv = [argv for argv in played.programs.ran if "buildctl" in argv][-1]
    return [word for word in argv if word.startswith("no-cache")]


@pytest.mark.parametrize(("name", "wanted"), [(" AS a", "no-cache=a"), ("", "no-cache=")])
async def test_a_changed_secret_reaches_the_step(tmp_path: Path, name: str, wanted: str):
    played = Played(tmp_path)
    played.clones.files = {"Dockerfile": f"FROM x{name}\n{STEP}\n"}

    async def built(token: str) -> list[str]:
        await work(played.job(SOURCE, DockerfileBuild(), variables={"TOKEN": token}))
        return no_cache(played)

    assert await built("1") == [wanted]
    assert await built("1") == []
    assert await built("2") == [wanted]
    assert await built("2") == []
    assert await built("1") == [wanted]


async def test_a_build_that_failed_says_nothing_of_its_secrets(tmp_path: Path):
    played = Played(tmp_path)
    played.clones.files = {"Dockerfile": f"FROM x AS a\n{STEP}\n"}
    job = played.job(SOURCE, DockerfileBuild(), variables={"TOKEN": "1"})
    played.programs.play = lambda argv, _: (1, "") if "buildctl" in argv else None
    await why(job)
    played.programs.play = None
    await work(played.job(SOURCE, DockerfileBuild(), variables={"TOKEN": "1"}))
    assert no_cache(played) == ["no-cache=a"]


def test_of_too_many_steps_none_is_remembered_and_all_run_again():
    steps = stages.secret_steps(
        "FROM x AS a\n" + "\n".join(f"RUN --mount=$a{n}" for n in range(5000))
    )
    assert len(steps) < 300
    assert stages.marks(steps, {"A": "1"}, "org", b"key") == {}
    assert stages.anew(steps, changed=False) == ""


def test_builds_that_fail_for_ever_leave_a_file_of_some_size(tmp_path: Path):
    for number in range(20):
        remembered = Remembered(tmp_path, "org", f"d{number}")
        remembered.begin({f"{number}-{step}": "mark" for step in range(200)})
    assert len(json.loads((tmp_path / "marks/org.json").read_text())) == 2000
    assert not Remembered(tmp_path, "org", "d").differ({"19-199": "d19"})
