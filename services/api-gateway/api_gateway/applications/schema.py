"""What a client says of an application."""

import re
import shlex
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from slipway.contracts.values import (
    Build,
    DockerfileBuild,
    GitSource,
    HealthCheck,
    ImageSource,
    Runtime,
    Source,
    StaticBuild,
)

from api_gateway.http.answers import Body

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_BRANCH = re.compile(r"(?!-)(?!.*\.\.)[A-Za-z0-9._/-]{1,200}")
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?")
_SIZE = re.compile(r"(\d+)\s*([kmg]i?b?)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def inside(path: str) -> str:
    """A path inside the repository."""
    if path.startswith("/") or ".." in path.split("/") or "\x00" in path:
        raise ValueError("has to be a path inside the repository, without ..")
    return path


Path = Annotated[str, Field(max_length=400)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=3600, strict=False)]


class Git(Body):
    kind: Literal["git"]
    url: Annotated[str, Field(max_length=2000)]
    branch: Annotated[str, Field(max_length=200)] = "main"
    path: Path = ""

    _inside = field_validator("path")(inside)

    @field_validator("url")
    @classmethod
    def address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("has to be an http or https address")
        if parts.username or parts.password:
            raise ValueError("must not hold credentials")
        return value

    @field_validator("branch")
    @classmethod
    def ref(cls, value: str) -> str:
        if not _BRANCH.fullmatch(value):
            raise ValueError("is no name of a branch")
        return value


class Image(Body):
    kind: Literal["image"]
    image: Annotated[str, Field(min_length=1, max_length=400)]

    @field_validator("image")
    @classmethod
    def reference(cls, value: str) -> str:
        if not _IMAGE.fullmatch(value):
            raise ValueError("is no image reference, such as nginx:stable")
        return value


class Dockerfile(Body):
    kind: Literal["dockerfile"] = "dockerfile"
    file: Path = "Dockerfile"
    context: Path = "."
    target: Annotated[str | None, Field(max_length=100, pattern=r"^[A-Za-z0-9._-]+$")] = None
    args: Annotated[dict[str, str], Field(max_length=100)] = Field(default_factory=dict)

    _inside = field_validator("file", "context")(inside)


class Static(Body):
    kind: Literal["static"]
    directory: Path = "."
    spa: bool = False

    _inside = field_validator("directory")(inside)


class Health(Body):
    path: Annotated[str | None, Field(max_length=500, pattern=r"^/[\x21-\x7e]*$")] = None
    command: Annotated[list[str] | None, Field(min_length=1, max_length=50)] = None
    interval: Annotated[float, Field(ge=1, le=3600, strict=False)] = 5.0
    timeout: Annotated[float, Field(ge=1, le=600, strict=False)] = 5.0
    retries: Annotated[int, Field(ge=1, le=100)] = 3
    start_period: Seconds = 60.0


type AnySource = Annotated[Git | Image, Field(discriminator="kind")]
type AnyBuild = Annotated[Dockerfile | Static, Field(discriminator="kind")]


class RuntimeFields(Body):
    port: Port | None = None
    command: Annotated[str | list[str] | None, Field(max_length=2000)] = None
    health_check: Health | None = None
    cpu_limit: Annotated[float | None, Field(gt=0, le=512, strict=False)] = None
    memory_limit: Annotated[int | str | None, Field()] = None
    settle_seconds: Seconds = 5.0
    drain_seconds: Annotated[float, Field(ge=0, le=600, strict=False)] = 5.0

    @field_validator("memory_limit")
    @classmethod
    def size(cls, value: int | str | None) -> int | None:
        if value is None:
            return None
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            raise ValueError("has to be a number of bytes, or such as 512m")
        found = int(match[1]) * _UNITS[(match[2] or "").lower()[:1]]
        if not 6 * 1024**2 <= found <= 1 << 44:
            raise ValueError("has to be at least 6 MiB")
        return found

    @field_validator("command")
    @classmethod
    def words(cls, value: str | list[str] | None) -> list[str] | None:
        """A line is split into words as a shell would; no shell ever runs it."""
        return shlex.split(value) if isinstance(value, str) else value


class NewApplication(RuntimeFields):
    name: Annotated[str, Field(min_length=1, max_length=40)]
    source: AnySource
    build: AnyBuild | None = None

    @field_validator("name")
    @classmethod
    def label(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("has to be a DNS label: lower-case letters, digits, dashes")
        return value


class ChangedApplication(RuntimeFields):
    source: AnySource | None = None
    build: AnyBuild | None = None
    replicas: Annotated[int | None, Field(ge=0, le=50)] = None
    webhook_secret: Annotated[str | None, Field(min_length=8, max_length=200)] = None


_RUNTIME = tuple(RuntimeFields.model_fields)


def source_of(given: Git | Image) -> Source:
    if isinstance(given, Git):
        return GitSource(url=given.url, branch=given.branch, path=given.path.strip("/"))
    return ImageSource(image=given.image)


def build_of(given: Dockerfile | Static | None) -> Build | None:
    match given:
        case None:
            return None
        case Dockerfile():
            return DockerfileBuild.model_validate(given.model_dump())
        case Static():
            return StaticBuild.model_validate(given.model_dump())


def runtime_of(given: RuntimeFields, before: Runtime) -> Runtime:
    """`before` with the fields that were sent."""
    changed: dict[str, Any] = {
        name: getattr(given, name) for name in _RUNTIME if name in given.model_fields_set
    }
    if isinstance(health := changed.get("health_check"), Health):
        changed["health_check"] = HealthCheck.model_validate(
            {**health.model_dump(), "command": tuple(health.command) if health.command else None}
        )
    if isinstance(command := changed.get("command"), list):
        changed["command"] = tuple(command)
    return Runtime.model_validate({**dict(before), **changed})
