"""Where the engine reaches an image registry, the images are pulled, and none is built."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.instance import ROOT
from tests.machines.engine import Machine

pytestmark = [pytest.mark.engine]
IMAGES = [line.split()[0] for line in (ROOT / "infra/images.list").read_text().splitlines()]


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Its engine has a mirror of the public registry, the only thing it reaches."""
    with Machine(1, "--registry-mirror=http://127.0.0.1:5000") as machine:
        yield machine


@pytest.fixture
def registry(machine: Machine) -> Iterator[None]:
    program = Path(__file__).with_name("registry.py")
    argv = [*machine.inside, sys.executable, str(program), "5000"]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def tagged(machine: Machine) -> set[str]:
    return set(machine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split())


@pytest.mark.usefixtures("registry")
def test_every_image_is_pulled_once(machine: Machine):
    done = machine.script("images.sh")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        [name, "pulled,"] for name in IMAGES
    ]
    assert tagged(machine) == set(IMAGES)
    again = machine.script("images.sh")
    assert (again.returncode, again.stdout) == (0, "")


def test_a_registry_that_has_to_be_there_is_named_when_it_is_not(machine: Machine):
    done = machine.script("images.sh", SLIPWAY_AIRGAP="0")
    assert done.returncode == 1
    assert f"{IMAGES[0]} could not be pulled" in done.stderr
    assert "SLIPWAY_AIRGAP=1 builds it here" in done.stderr
    assert tagged(machine) == set()
