"""Argument lists and documents of a build: one golden file each."""

from pathlib import Path
from typing import Any

import pytest
from builder.build import render
from builder.buildkit import render as buildkit
from builder.registry import render as registry
from slipway.contracts.limits import BuildLimits
from slipway.contracts.values import StaticBuild

from tests.golden.cases import cases, check


def rendered(given: dict[str, Any]) -> Any:
    match given.pop("what"):
        case "buildctl":
            given["secrets"] = [tuple(pair) for pair in given.get("secrets", [])]
            source = Path("/build/source")
            usual = {"file": source / "Dockerfile", "context": source, "tag": "d1"}
            paths = {name: Path(given[name]) for name in ("file", "context") if name in given}
            wanted = render.Wanted(**{**usual, **given, **paths})
            address = "docker-container://slipway-build-org"
            return render.buildctl(
                wanted, address, "registry:5000/org/app", Path("/build/metadata.json")
            )
        case "clone":
            return render.clone(given["url"], given["branch"], "/build/source", given["pinned"])
        case "branches":
            return render.branches(given["url"], given["pinned"])
        case "nginx":
            return render.nginx_conf(StaticBuild.model_validate(given["build"]))
        case "static Dockerfile":
            return render.static_dockerfile()
        case "start of BuildKit":
            return buildkit.start_script()
        case "configuration of BuildKit":
            return buildkit.configuration("registry:5000", BuildLimits(disk=2 * 10**10))
        case "door":
            return registry.nginx_conf("slipway-registry")
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
    wanted = render.Wanted(Path("f"), Path("c"), "t", secrets=[("KEY", "SLIPWAY_BUILD_0")])
    argv = render.buildctl(wanted, "a", "r", Path("m"))
    assert "id=KEY,env=SLIPWAY_BUILD_0" in argv
