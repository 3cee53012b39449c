"""`make down` and `make purge` end: what does not end by itself is killed."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKER = """#!/bin/sh
echo "$*" >>"$SAID"
case $1 in
ps)
	case $* in
	*stack.namespace* | *--all*) ;;
	*) [ -e "$SAID.killed" ] || echo c1 ;;
	esac
	;;
kill) [ "${STAYS:-}" = 1 ] || touch "$SAID.killed" ;;
esac
"""


def down(tmp_path: Path, *args: str, stays: bool = False) -> tuple[int, list[str], str]:
    """The exit code, what was asked of an engine whose one container does not end by itself, and
    what was said."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("docker", DOCKER), ("sleep", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    said = tmp_path / "said"
    found = subprocess.run(
        ["/bin/sh", ROOT / "infra/down.sh", *args],
        env={
            "PATH": f"{programs}:{os.environ['PATH']}", "SAID": str(said),
            "SLIPWAY_INSTANCE": "of-a-test", "SLIPWAY_CACHE": str(tmp_path),
            "STAYS": "1" if stays else "",
        },
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return found.returncode, said.read_text().splitlines(), found.stdout + found.stderr


@pytest.mark.parametrize(("args", "looks"), [((), 91), (("purge",), 11)])
def test_what_does_not_end_is_killed(tmp_path: Path, args: tuple[str, ...], looks: int):
    code, asked, said = down(tmp_path, *args)
    assert code == 0, said
    assert "kill c1" in asked
    before = asked[: asked.index("kill c1")]
    own = [each for each in before if "swarm.service.id" in each]
    assert len(own) == looks, "a second between two of them"
    assert f"not ended after {looks - 1} s, so killed: c1" in said


def test_what_can_t_be_killed_is_told(tmp_path: Path):
    code, asked, said = down(tmp_path, "purge", stays=True)
    assert code == 1
    assert asked.count("kill c1") == 30
    assert "still run, though they were killed" in said
    assert "docker ps --filter" in said
