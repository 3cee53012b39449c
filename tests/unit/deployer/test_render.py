"""Releases as the engine gets them: one golden file each."""

from pathlib import Path
from typing import Any, Literal

import pytest
from deployer.rollout import render
from slipway.contracts.rollout import Release
from slipway.contracts.values import (
    ApplicationSettings,
    BuiltImage,
    ImageSource,
    Runtime,
    Specification,
)

from tests.golden.cases import cases, check


def specification(runtime: Runtime) -> Specification:
    settings = ApplicationSettings(source=ImageSource(image="web:1"), runtime=runtime)
    return Specification(name="web", settings=settings)


def service(given: dict[str, Any]) -> dict[str, Any]:
    wanted = specification(Runtime.model_validate(given.get("runtime", {})))
    image = BuiltImage(reference="sha256:abc", node=given.get("node"))
    return render.swarm_service(
        instance="slipway",
        organization="org",
        project="project",
        environment="environment",
        service="service",
        network="slipway_env_environment",
        release=Release(
            deployment="deployment",
            sequence=7,
            swarm_service="slipway-web-deployment",
            image=image,
            specification_digest="digest",
            port=render.port_of(wanted, given.get("ports", [])),
        ),
        specification=wanted,
        variables=given.get("variables", {}),
        image_config=given.get("image", {}),
        replicas=given.get("replicas", 1),
        start_interval=given.get("start_interval", True),
    )


@pytest.mark.parametrize("file", cases("service"), ids=lambda file: file.stem)
def test_a_release_as_a_service(file: Path):
    check(file, service)


@pytest.mark.parametrize(
    ("wanted", "exposed", "port"),
    [
        (None, [], None),
        (None, [80], 80),
        (None, [80, 443], None),
        ("none", [], None),
        ("none", [80], None),
        (3000, [], 3000),
        (3000, [80], 3000),
        (3000, [80, 443], 3000),
    ],
)
def test_the_port_is_the_wanted_one_or_the_only_one(
    wanted: int | Literal["none"] | None, exposed: list[int], port: int | None
):
    assert render.port_of(specification(Runtime(port=wanted)), exposed) == port


def test_every_release_runs_under_the_lifeline_and_names_its_place():
    for file in cases("service"):
        given = file.read_text()
        assert '"/.slipway/lifeline"' in given, file.name
        assert '"Mode": "dnsrr"' in given, file.name
