"""Argument lists and documents of a build: one golden file each."""

from pathlib import Path
from typing import Any

import pytest
from builder.build import render
from slipway.contracts.values import StaticBuild

from tests.golden.cases import cases, check


def rendered(given: dict[str, Any]) -> Any:
    match given.pop("what"):
        case "buildx":
            given["secrets"] = [tuple(pair) for pair in given.get("secrets", [])]
            usual = {
                "file": "/build/source/Dockerfile", "context": "/build/source",
                "tag": "slipway/app:d1", "iidfile": "/build/image-id", "labels": {}, "args": {},
            }  # fmt: skip
            return render.buildx(**{**usual, **given})
        case "clone":
            return render.clone(given["url"], given["branch"], "/build/source", given["pinned"])
        case "branches":
            return render.branches(given["url"], given["pinned"])
        case "nginx":
            return render.nginx_conf(StaticBuild.model_validate(given["build"]))
        case "static Dockerfile":
            return render.static_dockerfile()
        case what:
            raise AssertionError(what)


@pytest.mark.parametrize("file", cases("buildplan"), ids=lambda file: file.stem)
def test_a_plan(file: Path):
    check(file, rendered)


@pytest.mark.parametrize(
    ("dockerfile", "names"),
    [
        ("FROM x", set()),
        ("ARG A\nFROM x\nARG B=1\nRUN echo ARG C", {"A", "B"}),
        ("  arg  A  B=2 C='x y'", {"A", "B", "C"}),
        ("# ARG A\nRUN true", set()),
        ("ARG A=$B", {"A"}),
    ],
)
def test_what_a_dockerfile_declares(dockerfile: str, names: set[str]):
    assert render.declared_args(dockerfile) == names


def test_no_value_of_a_secret_stands_in_an_argument_list():
    argv = render.buildx(
        file="f", context="c", tag="t", iidfile="i", labels={}, args={},
        secrets=[("KEY", "SLIPWAY_BUILD_0")],
    )  # fmt: skip
    assert "id=KEY,env=SLIPWAY_BUILD_0" in argv
