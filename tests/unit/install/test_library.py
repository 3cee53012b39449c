"""`infra/library.sh` makes the archive of images for builds, on an engine that is played."""

import os
import subprocess
from pathlib import Path

from slipway.contracts.registry import COLLECTS, FILLED, FILLS, LIBRARY

ROOT = Path(__file__).parents[3]
DOCKER = """#!/bin/sh
echo "$*" >>"$SAID"
case $1 in
cp)
	case $3 in
	-) [ ! -e "$SAID.waited" ] && touch "$SAID.waited" ;;
	*) cat "$3" >>"$SAID" ;;
	esac
	;;
image) [ "$2" = rm ] || echo "sha256:1 built here" ;;
port) echo 127.0.0.1:40000 ;;
push)
	[ -e "$SAID.listens" ] || { touch "$SAID.listens"; echo "connection refused" >&2; exit 1; }
	;;
run) case $* in *tar*) echo archive ;; esac ;;
esac
"""


def library(tmp_path: Path) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "images").mkdir()
    for name, text in (("docker", DOCKER), ("sleep", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    said = tmp_path / "said"
    done = subprocess.run(
        ["/bin/sh", ROOT / "infra/library.sh"],
        env={
            "PATH": f"{programs}:{os.environ['PATH']}", "SAID": str(said),
            "SLIPWAY_INSTANCE": "of-a-test", "SLIPWAY_CACHE": str(tmp_path),
        },
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done, said.read_text().splitlines()


def test_it_waits_for_its_registry_and_leaves_nothing(tmp_path: Path):
    done, asked = library(tmp_path)
    assert done.returncode == 0, done.stderr
    archive = Path(done.stdout.splitlines()[-1])
    assert archive.read_text() == "archive\n"
    assert list(archive.parent.iterdir()) == [archive]
    pushed = [line for line in asked if line.startswith("push ")]
    assert pushed[0] == pushed[1] != pushed[2]


def test_while_it_pushes_nothing_is_collected(tmp_path: Path):
    """What it says beside the images is what the builder looks for."""
    _, asked = library(tmp_path)
    told = [line for line in asked if line in (FILLS, FILLED) or line.startswith("push ")]
    assert (told[0], told[-1]) == (FILLS, FILLED)
    assert len(told) > 4
    copied = {line.rpartition(":")[2] for line in asked if line.startswith("cp --quiet ")}
    assert copied == {f"/var/lib/registry/{LIBRARY}"}


def test_it_waits_for_a_collection_to_end(tmp_path: Path):
    """And says anew before each image that it pushes, however long the one before took."""
    _, asked = library(tmp_path)
    looks = [
        at for at, line in enumerate(asked) if line.endswith(f"/var/lib/registry/{COLLECTS} -")
    ]
    pushes = [at for at, line in enumerate(asked) if line.startswith("push ")]
    assert len(looks) == 2
    assert asked.index(FILLS) < looks[0]
    assert looks[-1] < pushes[0]
    told = [line for line in asked if line == FILLS or line.startswith(("push ", "tag "))]
    tags = [at for at, line in enumerate(told) if line.startswith("tag ")]
    assert len(tags) > 1
    assert {told[at - 1] for at in tags} == {FILLS}


def test_what_a_killed_run_leaves_is_the_instances(tmp_path: Path):
    _, asked = library(tmp_path)
    made = [line for line in asked if line.startswith(("volume create", "run --detach"))]
    assert len(made) == 2
    assert all("--label slipway.instance=of-a-test" in line for line in made)
