"""The registry's library: images that builds begin with, where no registry outside is reached.

They are written beside the registry into its volume, from an archive that `infra/library.sh` made:
nobody may push them. Whole layers first, then the names that lead to them.
"""

import contextlib
import subprocess
import time
from pathlib import Path

from slipway.contracts.registry import COLLECTS, FILLED, FILLS, LIBRARY, LONGEST_COLLECTION

from slipway_install.errors import InstallError

ARCHIVES = Path("/library")
"""Holds one archive, or none where the images come from a registry."""
VOLUME = Path("/registry")
_STORE = VOLUME / "docker/registry/v2"
_EVERY = 60.0
"""Seconds after which it is said again that the library is being filled."""


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
    _collected()
    code, said = _unpacked(archive)
    if code:
        raise InstallError(
            f"the images for builds could not be unpacked into {VOLUME}",
            "free space on the disk of the engine, then run make up again",
            said.strip().splitlines()[-5:],
        )
    for former in VOLUME.glob("library-*"):
        former.unlink()
    mark.touch()
    (VOLUME / LIBRARY).write_text(FILLED)
    return "unpacked"


def _collected() -> None:
    """The registry collects no more, or the builder that said so is gone: what is unpacked beside
    it would be removed."""
    mark, end = VOLUME / COLLECTS, time.time() + LONGEST_COLLECTION
    with contextlib.suppress(FileNotFoundError):
        while time.time() < min(end, mark.stat().st_mtime + LONGEST_COLLECTION):
            (VOLUME / LIBRARY).touch()
            time.sleep(1.0)


def _unpacked(archive: Path) -> tuple[int, str]:
    argv = ["tar", "-C", str(_STORE), "-xf", str(archive)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as tar:
        while True:
            try:
                _, said = tar.communicate(timeout=_EVERY)
            except subprocess.TimeoutExpired:
                (VOLUME / LIBRARY).touch()
            else:
                return tar.returncode, said
