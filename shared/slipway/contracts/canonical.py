"""The canonical form of a value, of which digests are taken. Pure."""

from typing import Any, cast

from slipway.contracts.event import Value


def canonical(value: Any) -> Any:
    """As JSON has it, without what has its default, so that a field which comes later changes no
    digest; `kind` always, because it tells what the rest means."""
    match value:
        case Value():
            fields = type(value).model_fields
            return {
                name: canonical(found)
                for name, found in value
                if name == "kind" or found != fields[name].get_default(call_default_factory=True)
            }
        case tuple():
            return [canonical(item) for item in cast("tuple[Any, ...]", value)]
        case dict():
            return {name: canonical(each) for name, each in cast("dict[str, Any]", value).items()}
        case _:
            return value
