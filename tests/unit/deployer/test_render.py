"""Workloads as the engine gets them: one golden file each."""

from pathlib import Path
from typing import Any

import pytest
from deployer.rollout import render
from slipway.contracts.values import BuiltImage, FileMount, TmpfsMount
from slipway.contracts.workload import Workload

from tests.golden.cases import cases, check


def service(given: dict[str, Any]) -> dict[str, Any]:
    image = {"reference": "sha256:abc", "node": given.get("node")}
    wanted = {"name": "main", "aliases": ["web"], "image": image, **given.get("workload", {})}
    return render.swarm_service(
        instance="slipway",
        organization="org",
        project="project",
        environment="environment",
        service="service",
        network="slipway_env_environment",
        swarm_service="slipway-main-0123456789abcdef",
        workload=Workload.model_validate(wanted),
        image_config=given.get("image", {}),
        replicas=given.get("replicas", 1),
        start_interval=given.get("start_interval", True),
        pinned=given.get("pinned"),
        files=given.get("files"),
    )


def test_the_files_of_a_workload_are_swarm_secrets_of_its_release():
    files = FileMount(path="/etc/a.conf", content="ä\n"), FileMount(path="/k", content="s")
    workload = Workload(
        name="main", image=BuiltImage(reference="sha256:1"), mounts=(*files, TmpfsMount(path="/t"))
    )
    one, other = render.files("slipway", "service", "slipway-main-0123456789abcdef", workload)
    assert one == {
        "Name": "slipway-file-" + one["Name"][-16:],
        "Labels": {
            "slipway.instance": "slipway", "slipway.service": "service",
            "slipway.release": "slipway-main-0123456789abcdef",
        },
        "Data": "w6QK",
    }  # fmt: skip
    assert other["Name"] != one["Name"]
    elsewhere = render.files("slipway", "service", "slipway-main-fedcba9876543210", workload)
    assert elsewhere[0]["Name"] != one["Name"]
    long = render.files("x" * 80, "service", "slipway-main-0123456789abcdef", workload)
    assert len(long[0]["Name"]) <= 64


@pytest.mark.parametrize("file", cases("service"), ids=lambda file: file.stem)
def test_a_workload_as_a_service(file: Path):
    check(file, service)


def test_every_workload_runs_under_the_lifeline_and_names_its_place():
    for file in cases("service"):
        given = file.read_text()
        assert '"/.slipway/lifeline"' in given, file.name
        assert '"Mode": "dnsrr"' in given, file.name


@pytest.mark.parametrize("start_interval", [True, False])
@pytest.mark.parametrize(
    ("check", "image", "runs"),
    [
        ({"command": ["ask", "it"]}, None, ("ask", "it")),
        (None, ["CMD", "ask", "it"], ("ask", "it")),
        (None, ["CMD-SHELL", "ask it"], ("ask it",)),
    ],
)
def test_no_health_check_runs_before_the_rules_stand(
    start_interval: bool, check: Any, image: list[str] | None, runs: tuple[str, ...]
):
    found = service(
        {
            "workload": {"health_check": check}, "start_interval": start_interval,
            "image": {"Healthcheck": {"Test": image}} if image else {},
        }
    )  # fmt: skip
    test = found["TaskTemplate"]["ContainerSpec"]["HealthCheck"]["Test"]
    assert test[:4] == ["CMD", "/.slipway/lifeline", "guarded", "--"]
    assert render.asked(test) == runs


def test_a_shell_of_the_images_own_runs_its_health_check():
    image = {"Healthcheck": {"Test": ["CMD-SHELL", "ask it"]}, "Shell": ["/bin/ash", "-ec"]}
    found = service({"image": image})["TaskTemplate"]["ContainerSpec"]["HealthCheck"]
    assert found["Test"][4:] == ["/bin/ash", "-ec", "ask it"]
