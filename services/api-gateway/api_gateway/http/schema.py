"""Bases of what clients send and are shown."""

import re
import unicodedata
from typing import Annotated, Any, TypeAliasType, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError
from slipway.contracts.values import PRINTABLE, NamedKind

from api_gateway.http.patterns import NO_NUL


class Body(BaseModel):
    """A request's body: unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Shown(BaseModel):
    """An answer. It describes; what is sent is encoded without passing through it."""

    model_config = ConfigDict(extra="forbid")


class Listed[T](Shown):
    items: list[T]
    next: str | None
    """The cursor of the following page."""


class Deleting(Shown):
    id: str
    status: str


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode: controls, marks of format and direction, halves of pairs, line ends."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that are drawn as nothing."""


def _seen(value: str) -> str:
    """Two names that look alike are alike, and none turns what stands beside it around."""
    if any(unicodedata.category(letter) in _UNSEEN or letter in _BLANK for letter in value):
        raise ValueError("may hold no control characters, and none that can't be seen")
    return value


Seen = AfterValidator(_seen)
"""Of a name that people read: no character of it is invisible."""
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=PRINTABLE),
    Seen,
]
Text = Annotated[str, StringConstraints(pattern=NO_NUL)]
"""Kept as it is: what a program reads may hold lines and spaces, but no NUL."""

_DNS_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"(?=.{{1,253}}$){_DNS_LABEL}(\.{_DNS_LABEL})*")


def _host(value: str) -> str:
    value = value.lower().removesuffix(".")
    if not _HOST.fullmatch(value):
        raise ValueError("is not a host name, such as app.example.org")
    return value


HostName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=254),
    AfterValidator(_host),
]
"""In lower case, without the dot at the end."""


UNKNOWN_KIND = "unknown_kind"


def kinds_of(union: TypeAliasType) -> tuple[str, ...]:
    """Of the models of a union, told apart by `kind`: what it may be."""
    return tuple(
        kind
        for model in get_args(get_args(union.__value__)[0])
        for kind in get_args(model.model_fields["kind"].annotation)
    )


NAMED_KINDS: tuple[str, ...] = get_args(NamedKind.__value__)
"""Of services."""


def of_kind(what: str, *kinds: str, unnamed: tuple[str, ...] = ()) -> BeforeValidator:
    """`kind` is looked at before everything else, so that a missing or unknown one is told in plain
    words instead of as a union that did not match. `unnamed` are taken, and not told."""

    def check(value: Any) -> Any:
        if not isinstance(value, dict) or value.get("kind") in (*kinds, *unnamed):
            return value
        if "kind" not in value:
            problem = f"has to say what kind of {what} it is"
        else:
            problem = f"names no kind of {what} that there is"
        told = {"problem": problem, "kinds": ", ".join(kinds)}
        raise PydanticCustomError(UNKNOWN_KIND, "{problem}; there are: {kinds}", told)

    return BeforeValidator(check)


class Error(Shown):
    pointer: str
    """JSON pointer into the body, `?name` of a query parameter, or a header's name."""
    detail: str


class Problem(Shown):
    """RFC 9457, as application/problem+json. `type` is stable."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Error] | None = None
    hint: str | None = None


def given(body: BaseModel, *names: str) -> dict[str, Any]:
    """The fields that were sent, by name."""
    return {name: getattr(body, name) for name in names if name in body.model_fields_set}
