"""Argument lists and documents of a build: one golden file each."""

from pathlib import Path
from typing import Any

import pytest
from builder.build import render
from builder.buildkit import render as buildkit
from builder.cloning import render as cloning
from builder.cloning.order import Limits, Order
from builder.registry import render as registry
from slipway.contracts.limits import BuildLimits
from slipway.contracts.values import StaticBuild

from tests.golden.cases import cases, check


def _order(given: dict[str, Any]) -> Order:
    return Order("https://git.example/shop/app.git", **given["order"])


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
            return cloning.clone(_order(given), "/tmp/clone/source", shallow=given["shallow"])
        case "submodules":
            return cloning.submodules("/tmp/clone/source", shallow=given["shallow"])
        case "names":
            return cloning.names(_order(given))
        case "configuration of git":
            return cloning.configuration(Limits())
        case "environment of git":
            return cloning.environment("/tmp/clone")
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


@pytest.mark.timeout(5)
def test_a_dockerfile_of_blank_lines_is_looked_at_at_once():
    assert render.declared_args("\n" * (1 << 20) + "ARG A\n") == {"A"}
