"""What is tried on a machine whose engine has a small disk: it fills up to the last byte, so that
log, database, logs of containers and the engine's own notes can't be written; then there is room
again. Run on that machine, beside a platform that is up:

    python -m tests.machines.full_disk FOLDER-ON-THE-DISK
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.api import Api
from tests.e2e.applications import QUICK, Application, Image
from tests.e2e.engine import docker, eventually
from tests.e2e.instance import INSTANCE, ROOT
from tests.e2e.loads import load_from_outside, unharmed


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


def main(disk: Path) -> None:
    known = settings()
    api = Api(known["SLIPWAY_URL"], known["SLIPWAY_TOKEN"])
    made = api.post("/v1/projects", {"name": "A full disk"})
    project, environment = f"/v1/projects/{made['id']}", made["environments"][0]["id"]
    app = Application(api, environment, source=Image("one", on_term="drain").source, **QUICK)
    app.live()
    with load_from_outside("127.0.0.1:18080", app.host, seconds=400) as load:
        filled = disk / "filled"
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={filled}", "bs=1M"], stderr=subprocess.DEVNULL, check=False
        )
        assert shutil.disk_usage(disk).free < 2**20, "the disk is not full"
        print("a write on the full disk:", stored(api, "POST", f"{app.path}/restart") or "stored")
        time.sleep(30)
        print("on the full disk:", docker("service", "ls", "--format", "{{.Name}} {{.Replicas}}"))
        filled.unlink()
        began = time.monotonic()
        body = {"name": "There is room again"}
        eventually("a write is stored", lambda: not stored(api, "PATCH", project, body), 180, 1)
        print(f"writes are stored {time.monotonic() - began:.0f} s after there was room")
        eventually("every service runs", all_run, 180, every=1)
        print(f"everything runs {time.monotonic() - began:.0f} s after there was room")
        api.until(app.again("restart"), "live")
    unharmed(load)
    print("load:", load.report["failed"], "of", load.report["requests"], "failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
