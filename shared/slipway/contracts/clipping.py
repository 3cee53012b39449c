"""Bounds of text and lists that come from programs, engines and servers: what is longer is cut
where a value is made of it, so that the largest event still fits a commit. What would steer the
terminal that shows it is taken out there too. Pure.

Sizes are bytes as they are stored, in JSON: a control character counts six."""

import json
import re
from collections.abc import Mapping
from typing import Any, Self, cast

from pydantic import BeforeValidator

from slipway.contracts.event import Value

_MORE = " …"
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, the cursor
    r"|[\]PX^_][^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\)"  # titles, links
    r"|[ -/]*[0-~])"
)
_STEERING = (
    *range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F,
    *range(0x2028, 0x202F), *range(0x2066, 0x206A),
)  # fmt: skip
"""C0 but tab and line feed, C1, other line ends, and what turns the direction of writing."""
_VISIBLE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _STEERING}
_VISIBLE[ord("\r")] = " "


def shown(text: str) -> str:
    """The text without what steers a terminal: sequences for colours and the like are left out, a
    carriage return is a space, and every other control character is written as `\\x07`. Twice is
    once."""
    if text.isprintable():
        return text
    return _SEQUENCE.sub("", text).translate(_VISIBLE)


def stored_size(text: str) -> int:
    """Bytes of the text in a stored event, without its quotation marks."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def clipped(text: str, limit: int) -> str:
    """At most `limit` bytes as stored, as `shown`; what was cut ends with an ellipsis. Clipping
    twice is clipping once."""
    text = shown(text)[: limit + 1]
    text = text.encode(errors="replace").decode()  # half a surrogate can't be stored
    if len(text) * 6 <= limit or stored_size(text) <= limit:
        return text
    room, low, high = limit - stored_size(_MORE), 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if stored_size(text[:middle]) <= room else (low, middle - 1)
    return text[:low] + _MORE


def at_most(limit: int) -> BeforeValidator:
    """Of a text: so many bytes."""
    return BeforeValidator(lambda given: clipped(given, limit) if isinstance(given, str) else given)


def only(items: slice) -> BeforeValidator:
    """Of a list: these items."""

    def taken(given: Any) -> Any:
        return cast("list[Any]", given)[items] if isinstance(given, list | tuple) else given

    return BeforeValidator(taken)


class Clipped(Value):
    """A value with bounds. A changed copy is held to them too."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        if update:
            return type(self).model_validate({**dict(self), **update})
        return super().model_copy(deep=deep)
