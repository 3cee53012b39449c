"""What is tried on a machine whose engine has a small disk: it fills up to the last byte, so that
log, database, logs of containers and the engine's own notes can't be written; then there is room
again. Run on that machine, beside a platform that is up:

    python -m tests.machines.full_disk FOLDER-ON-THE-DISK [DEPLOYER-TOO]

With a second argument the deployer is killed on the full disk, and the platform is brought up again
by hand.
"""

import itertools
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.api import Api
from tests.e2e.engine import container_of, docker, eventually
from tests.e2e.instance import INSTANCE, ROOT, service
from tests.e2e.loads import load_from_outside, unharmed
from tests.e2e.services import QUICK, Image, Service

LEASE_SECONDS = 15
"""Longer than a lease that can't be renewed is held."""


def settings() -> dict[str, str]:
    lines = (ROOT / f".slipway/{INSTANCE}.env").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip("'\"") for key, value in pairs}


def all_run() -> bool:
    shown = docker("service", "ls", "--format", "{{.Replicas}}").split()
    return all(one.partition("/")[0] == one.partition("/")[2] for one in shown)


def stored(api: Api, method: str, path: str, body: Any = None) -> str:
    """Empty when the API says that a write is stored; else what it says, or how it fails to."""
    try:
        answer = api.call(method, path, body)
    except httpx2.HTTPError as error:
        return repr(error)
    return "" if answer.is_success else f"{answer.status_code} {answer.text[:300]}"


def main(disk: Path, *, deployer_too: bool) -> None:
    known = settings()
    api = Api(known["SLIPWAY_URL"], known["SLIPWAY_TOKEN"])
    made = api.post("/v1/projects", {"name": "A full disk"})
    project, environment = f"/v1/projects/{made['id']}", made["environments"][0]["id"]
    app = Service(api, environment, source=Image("one", on_term="drain").source, **QUICK)
    app.live()
    with load_from_outside("127.0.0.1:18080", app.host, seconds=400) as load:
        filled = disk / "filled"
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={filled}", "bs=1M"], stderr=subprocess.DEVNULL, check=False
        )
        assert shutil.disk_usage(disk).free < 2**20, "the disk is not full"
        if deployer_too:
            docker("kill", container_of(service("deployer")))
        attempts = itertools.count()  # a name that is there already would change nothing

        def harmed() -> str:
            """Both kinds: the log can't be written to, and something does not run."""
            refused = stored(api, "PATCH", project, {"name": f"Full {next(attempts)}"})
            return "" if all_run() else refused

        print("harmed:", eventually("log and services are harmed", harmed, 120, every=1))
        print(docker("service", "ls", "--format", "{{.Name}} {{.Replicas}}"))
        time.sleep(LEASE_SECONDS)
        filled.unlink()
        began = time.monotonic()
        if deployer_too:
            up = subprocess.run(["sh", str(ROOT / "infra/up.sh")], check=False)
            assert up.returncode == 0
        body = {"name": "There is room again"}
        eventually("a write is stored", lambda: not stored(api, "PATCH", project, body), 180, 1)
        print(f"writes are stored {time.monotonic() - began:.0f} s after there was room")
        eventually("every service runs", all_run, 180, every=1)
        print(f"everything runs {time.monotonic() - began:.0f} s after there was room")
        api.until(app.again("restart"), "live")
        app.patch(source=Image("two", on_term="drain").source)
        app.live()
        print(f"a new version is live {time.monotonic() - began:.0f} s after there was room")
    unharmed(load)
    print("load:", load.report["failed"], "of", load.report["requests"], "failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), deployer_too=len(sys.argv) > 2)
