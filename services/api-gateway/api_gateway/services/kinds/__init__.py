"""What a client says of a service of each kind, and the settings that this gives."""

from collections.abc import Mapping
from typing import Annotated, Any, assert_never

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Discriminator, TypeAdapter, ValidationError
from pydantic.json_schema import SkipJsonSchema
from slipway.contracts.values import ApplicationSettings, Kind, RawSettings, Runtime, Settings
from slipway.kernel.errors import Invalid

from api_gateway.http.context import Ctx, Gate
from api_gateway.http.schema import NAMED_KINDS, Body, given, of_kind
from api_gateway.services.domain import ApplicationChange, RawChange, SettingsChange
from api_gateway.services.kinds.raw import NewRaw, Workloads, programs
from api_gateway.services.resources import Seal
from api_gateway.services.schema import (
    ChangedApplication,
    NewApplication,
    runtime_of,
    source_of,
)

NewService = Annotated[
    NewApplication | SkipJsonSchema[NewRaw],
    Discriminator("kind"),
    of_kind("service", *NAMED_KINDS, unnamed=("raw",)),
]


class ChangedService(ChangedApplication):
    workloads: SkipJsonSchema[Workloads | None] = None


_BODIES: Mapping[Kind, type[Body]] = {"application": NewApplication, "raw": NewRaw}
_OF_EVERY_KIND = {"kind", "name", "replicas", "workload", "webhook_secret"}
_named = TypeAdapter[Any](Annotated[Any, of_kind("service", *NAMED_KINDS)])
_UNKNOWN = {"type": "extra_forbidden", "loc": ("body", "workloads"), "msg": "", "input": None}


async def only_named(request: Request, gateway: Gate, _: Ctx) -> None:
    """Elsewhere than on a test instance there is no kind `raw`, and nothing has `workloads`. Raises
    what is raised for a kind and a field that nobody knows, before anything is said of their
    insides."""
    if gateway.settings.test_kinds:
        return
    try:
        body = await request.json()
    except ValueError:
        return  # which is said where the body is read
    if not isinstance(body, dict):
        return
    if request.method == "PATCH" and "workloads" in body:
        raise RequestValidationError([_UNKNOWN], body=body)
    try:
        if request.method == "POST" and body.get("kind") == "raw":
            _named.validate_python(body)
    except ValidationError as error:
        errors = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(errors, body=body) from None


def settings_of(body: NewApplication | NewRaw, *, seal: Seal) -> Settings:
    """Raises Invalid."""
    match body:
        case NewApplication():
            return ApplicationSettings(
                source=source_of(body.source),
                build=body.build,
                runtime=Runtime(**runtime_of(body, Runtime(), seal)),
            )
        case NewRaw():
            return RawSettings(workloads=programs(body.workloads))
        case _:
            assert_never(body)


def change_of(body: ChangedService, settings: Settings | None, *, seal: Seal) -> SettingsChange:
    """Of the fields that were sent; null takes away what may be absent. Raises Invalid."""
    if body.kind is not None and settings is not None and body.kind != settings.kind:
        raise Invalid(f"it is of kind {settings.kind}, which never changes", pointer="/kind")
    if settings is not None:
        _have(body, settings.kind)
    if isinstance(settings, RawSettings):
        return RawChange(programs(body.workloads) if body.workloads else None)
    changes = given(body, "build")
    if body.source is not None:
        changes["source"] = source_of(body.source)
    former = settings.runtime if settings is not None else Runtime()
    return ApplicationChange(**changes, runtime=runtime_of(body, former, seal))


def _have(body: ChangedService, kind: Kind) -> None:
    """A field of the changes stands in the body for every kind. Raises Invalid."""
    if more := body.model_fields_set - _OF_EVERY_KIND - _BODIES[kind].model_fields.keys():
        raise Invalid(f"a service of kind {kind} has no such setting", pointer=f"/{min(more)}")
