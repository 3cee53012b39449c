"""The walk of docs/api.md as it stands there: whoever pastes it has a service that answers."""

import re
import subprocess
from pathlib import Path

from tests.e2e.api import Api
from tests.e2e.instance import INSTANCE, ROOT

_MADE = 'echo; echo "made: $PROJECT"\n'


def commands() -> str:
    walk = (ROOT / "docs/api.md").read_text().partition("## A walk")[2].partition("\n## ")[0]
    file = "env" if INSTANCE == "slipway" else f"{INSTANCE}.env"
    blocks = re.findall(r"```sh\n(.*?)```", walk, re.DOTALL)
    return "".join(blocks).replace(". .slipway/env", f". .slipway/{file}")


def test_the_walk_leads_to_an_answer_and_leaves_nothing(api: Api, tmp_path: Path):
    script = tmp_path / "walk.sh"
    script.write_text(commands() + _MADE)
    walked = subprocess.run(
        ["sh", "-eu", str(script)],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    said = walked.stdout
    assert walked.returncode == 0, said + walked.stderr
    assert "<p>Good morning</p>" in said
    assert '"status": "live"' in said
    assert '"kind":"rollback"' in said
    assert "s3cret-value" not in said
    made = re.search(r"^made: (\S+)$", said, re.MULTILINE)
    assert made is not None
    api.gone(f"/v1/projects/{made[1]}")
    assert api.get(f"/v1/services?project={made[1]}")["items"] == []
