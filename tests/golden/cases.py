"""Text files that each hold one case: the input, a line of ten dashes, what is expected.

A new case is a new file. With `SLIPWAY_GOLDEN=write` in the environment what is expected is
written anew, to be looked at with `git diff`.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LINE = "\n----------\n"
_HERE = Path(__file__).parent


def cases(folder: str) -> list[Path]:
    found = sorted((_HERE / folder).glob("*.txt"))
    assert found, f"no case in {folder}"
    return found


def shown(value: Any) -> str:
    """An argument list one a line, a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "".join(f"{item}\n" for item in value)
    return json.dumps(value, indent=1) + "\n"


def check(
    file: Path, produce: Callable[[Any], Any], parse: Callable[[str], Any] = json.loads
) -> None:
    given, _, expected = file.read_text().partition(_LINE)
    found = shown(produce(parse(given)))
    if os.environ.get("SLIPWAY_GOLDEN") == "write":
        file.write_text(f"{given}{_LINE}{found}")
    assert found == expected, file.name
