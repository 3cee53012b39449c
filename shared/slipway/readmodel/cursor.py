"""Opaque cursors: where the last item of a page stood."""

import base64
import json
from typing import Any


def encode(value: Any, id_: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([value, id_]).encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[Any, str]:
    """Raises ValueError for anything that `encode` did not make."""
    padded = cursor + "=" * (-len(cursor) % 4)
    found = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    if not isinstance(found, list) or len(found) != 2 or not isinstance(found[1], str):
        raise ValueError(cursor)
    return found[0], found[1]


def field(document: dict[str, Any], path: str) -> Any:
    """The value at a dotted path; None where there is none. Through a list: a list of values."""
    value: Any = document
    for part in path.split("."):
        if isinstance(value, list):
            value = [item.get(part) for item in value]
            continue
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
