"""The registry's library: images that builds begin with, where no registry outside is reached.

They are written beside the registry into its volume, from an archive that `infra/library.sh` made:
nobody may push them. Whole layers first, then the names that lead to them.
"""

import subprocess
from pathlib import Path

from slipway.contracts.registry import FILLED, FILLS, LIBRARY

from slipway_install.errors import InstallError

ARCHIVES = Path("/library")
"""Holds one archive, or none where the images come from a registry."""
VOLUME = Path("/registry")
_STORE = VOLUME / "docker/registry/v2"


def ensure() -> str:
    """A note for the step. An archive that was put in before is not put in again."""
    archive = next(ARCHIVES.glob("*.tar"), None)
    if archive is None:
        return "from a registry"
    mark = VOLUME / archive.stem
    if mark.exists():
        return ""
    _STORE.mkdir(parents=True, exist_ok=True)
    (VOLUME / LIBRARY).write_text(FILLS)
    done = subprocess.run(
        ["tar", "-C", str(_STORE), "-xf", str(archive)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InstallError(
            f"the images for builds could not be unpacked into {VOLUME}",
            "free space on the disk of the engine, then run make up again",
            done.stderr.strip().splitlines()[-5:],
        )
    for former in VOLUME.glob("library-*"):
        former.unlink()
    mark.touch()
    (VOLUME / LIBRARY).write_text(FILLED)
    return "unpacked"
