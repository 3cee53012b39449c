"""The disk of the engine is full to the last byte: what serves goes on, and once there is room
again the platform is whole: by itself, or by `make up` where the deployer is what stands still."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.instance import ROOT
from tests.machines.engine import Machine, run

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

ENVIRONMENT = {
    "SLIPWAY_INSTANCE": "slipway-full", "HTTP_PORT": "18080", "HTTPS_PORT": "18443",
    "API_PORT": "14000", "PUBLIC_URL": "", "SLIPWAY_KEEP_ENGINE": "1",
}  # fmt: skip
UNUSED = ("node:20-slim",)
"""Of the images that bringing up takes care of, those that this test builds nothing with."""


@pytest.fixture
def machine() -> Iterator[Machine]:
    """With the images of this machine's engine, and the platform up."""
    lines = (ROOT / "infra/images.list").read_text().splitlines()
    images = [name for name in (line.split()[0] for line in lines) if name not in UNUSED]
    control = run("sh", str(ROOT / "infra/control.sh")).splitlines()[-1]
    with Machine(1, disk="5g") as machine:
        saved = subprocess.Popen(["docker", "save", *images, control], stdout=subprocess.PIPE)
        loads = ["docker", "--host", machine.socket, "load", "--quiet"]
        subprocess.run(loads, stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True)
        assert saved.wait() == 0
        for name in UNUSED:
            machine.docker("tag", images[0], name)
        # Of a run that was killed: what it names is gone with its engine.
        (ROOT / f".slipway/{ENVIRONMENT['SLIPWAY_INSTANCE']}.env").unlink(missing_ok=True)
        try:
            up = machine.script("up.sh", **ENVIRONMENT)
            assert up.returncode == 0, f"{up.stdout}\n{up.stderr}"
            yield machine
        finally:
            machine.script("purge.sh", **ENVIRONMENT)


@pytest.mark.parametrize("more", [(), ("deployer-too",)], ids=["by-itself", "brought-up-again"])
def test_the_platform_is_whole_again_when_there_is_room(machine: Machine, more: tuple[str, ...]):
    argv = [sys.executable, "-m", "tests.machines.full_disk", str(machine.data), *more]
    done = machine.program(*argv, environment=ENVIRONMENT, seconds=500)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
