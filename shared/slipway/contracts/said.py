"""Bounds of what clients say, beside the values that keep it. They stand in the API's description
and hold for who makes a value; what was stored is read whatever they are today. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from slipway.contracts.event import STORED

MARK = "x-said"
_LONGEST = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}


def _to_the_end(pattern: str) -> str:
    """Python's `$` lets a line end follow."""
    return rf"{pattern[:-1]}\Z" if pattern.endswith("$") else pattern


@dataclass(frozen=True, slots=True)
class Said:
    """Of a text, or of a list or mapping: `longest` characters or entries; a text fits `pattern`
    whole, in Python's and JSON Schema's common part of regular expressions."""

    longest: int
    pattern: str | None = None

    def _check(self, value: Any, info: ValidationInfo) -> Any:
        if value is None or info.context is STORED:
            return value
        text, size = isinstance(value, str), len(value)
        if size > self.longest:
            if text:
                raise PydanticKnownError("string_too_long", {"max_length": self.longest})
            kind = "Dictionary" if isinstance(value, dict) else "List"
            known = {"field_type": kind, "max_length": self.longest, "actual_length": size}
            raise PydanticKnownError("too_long", known)
        if text and self.pattern is not None and not re.search(_to_the_end(self.pattern), value):
            raise PydanticKnownError("string_pattern_mismatch", {"pattern": self.pattern})
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The bounds go to the alternative that they are about, not to null, and are marked as what
        the stored shape does not have."""
        found = dict(handler(schema))
        for one in (found, *found.get("anyOf", ())):
            if (name := _LONGEST.get(one.get("type", ""))) is None:
                continue
            one |= {name: self.longest, MARK: True}
            if name == "maxLength" and self.pattern is not None:
                one["pattern"] = self.pattern
        return found
