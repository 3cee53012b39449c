"""What a client says of a service."""

import re
import shlex
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator
from slipway.contracts.event import Value
from slipway.contracts.values import (
    ApplicationSettings,
    Build,
    FileMount,
    GitSource,
    HealthCheck,
    ImageSource,
    NamedKind,
    RepositoryPath,
    Runtime,
    Settings,
    Source,
    Strategy,
)
from slipway.kernel.errors import Invalid

from api_gateway.http.patterns import ADDRESS, ASKED_PATH, COMMIT, LABEL, NAMED
from api_gateway.http.schema import Body, HostName, Text, given, kinds_of, of_kind
from api_gateway.services.resources import (
    LARGEST,
    AnyMount,
    Port,
    Published,
    Seal,
    Size,
    User,
    memory,
    mounts_of,
    ports_of,
)

_NO_REF = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock/"
    r"|\A[-/.]|[/.]\Z|\.lock\Z|\AHEAD\Z|\A\Z"
)
"""What git forbids in the name of a branch or a tag: git check-ref-format --branch."""
_LONGEST_REF = 200
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
)
_IMAGE = re.compile(
    rf"(?P<name>(?:{_REGISTRY}(?::[0-9]{{1,5}})?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
"""As registries and engines read a reference: github.com/distribution/reference."""

Seconds = Annotated[float, Field(ge=0, le=3600)]
Word = Annotated[Text, Field(max_length=4000)]
Label = Annotated[str, StringConstraints(max_length=63, pattern=LABEL)]
"""A DNS label. It begins with a letter: resolvers take `0x7f` and `127` for addresses."""


class Git(Body):
    """At most one of `branch`, `tag` and `commit` (its whole hash); without any it is the remote's
    default branch."""

    kind: Literal["git"]
    url: Annotated[str, StringConstraints(max_length=2000, pattern=ADDRESS)]
    branch: Annotated[str | None, Field(max_length=_LONGEST_REF)] = None
    tag: Annotated[str | None, Field(max_length=_LONGEST_REF)] = None
    commit: Annotated[str | None, StringConstraints(max_length=64, pattern=COMMIT)] = None
    path: RepositoryPath = ""

    @field_validator("url")
    @classmethod
    def address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("has to be an http or https address")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold credentials")
        return value

    @field_validator("branch", "tag")
    @classmethod
    def ref(cls, value: str | None) -> str | None:
        if value is not None and _NO_REF.search(value):
            raise ValueError("is no name that git allows for a branch or a tag")
        return value

    @model_validator(mode="after")
    def one(self) -> Self:
        if sum(each is not None for each in (self.branch, self.tag, self.commit)) > 1:
            raise ValueError("has a branch, a tag or a commit, and not two of them")
        return self


def reference(value: str) -> str:
    match = _IMAGE.fullmatch(value)
    # `sha256:…` is how an engine names what it has, whoever brought it there.
    if match is None or len(match["name"]) > 255 or match["name"] == "sha256":
        raise ValueError("is no image reference, such as nginx:stable")
    return value


class Image(Body):
    kind: Literal["image"]
    image: Annotated[str, Field(min_length=1, max_length=400), AfterValidator(reference)]


class Health(Body):
    """`path` or `command`."""

    path: Annotated[str | None, StringConstraints(max_length=500, pattern=ASKED_PATH)] = None
    host: HostName | None = None
    command: Annotated[list[Word] | None, Field(min_length=1, max_length=50)] = None
    interval: Annotated[float, Field(ge=1, le=3600)] = 5.0
    timeout: Annotated[float, Field(ge=1, le=600)] = 5.0
    retries: Annotated[int, Field(ge=1, le=100)] = 3
    start_period: Seconds = 60.0

    @model_validator(mode="after")
    def one(self) -> Self:
        if self.path is not None and self.command is not None:
            raise ValueError("has a path or a command, not both")
        if self.host is not None and self.path is None:
            raise ValueError("has a host only with a path, which is asked for there")
        return self


type AnySource = Annotated[
    Git | Image, Field(discriminator="kind"), of_kind("source", "git", "image")
]
type AnyBuild = Annotated[Build, of_kind("build", *kinds_of(Build))]
type Command = Word | Annotated[list[Word], Field(min_length=1, max_length=200)]
"""A line is split into words as a shell would; no shell ever runs it."""
_Cores = Annotated[float | None, Field(ge=0.01, le=512)]
_LabelName = Annotated[str, StringConstraints(max_length=100, pattern=NAMED)]
_LabelText = Annotated[Text, Field(max_length=4000)]
Signal = Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"]


class RuntimeFields(Body):
    port: Port | Literal["none"] | None = None
    command: Command | None = None
    health_check: Health | None = None
    cpu_limit: _Cores = None
    memory_limit: Size | None = None
    settle_seconds: Seconds = 5.0
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 5.0
    mounts: Annotated[list[AnyMount], Field(max_length=20)] = Field(default_factory=list[AnyMount])
    ports: Annotated[list[Published], Field(max_length=20)] = Field(default_factory=list[Published])
    strategy: Strategy | None = None
    init: Annotated[list[Command], Field(max_length=10)] = Field(default_factory=list[Command])
    user: User = None
    stop_signal: Signal | None = None
    stop_grace_seconds: Annotated[float | None, Field(ge=1, le=600)] = None
    labels: Annotated[dict[_LabelName, _LabelText], Field(max_length=50)] = Field(
        default_factory=dict[str, str]
    )
    cpu_reservation: _Cores = None
    memory_reservation: Size | None = None
    rollout_seconds: Annotated[float | None, Field(ge=10, le=7200)] = None

    _sizes = field_validator("memory_limit", "memory_reservation")(memory)

    @field_validator("command")
    @classmethod
    def words(cls, value: str | list[str] | None) -> list[str] | None:
        return (shlex.split(value) or None) if isinstance(value, str) else value

    @field_validator("init")
    @classmethod
    def commands(cls, value: list[str | list[str]]) -> list[list[str]]:
        found = [shlex.split(each) if isinstance(each, str) else each for each in value]
        if not all(found):
            raise ValueError("has a command without words")
        return found


class NewApplication(RuntimeFields):
    kind: Literal["application"]
    name: Label
    source: AnySource
    build: AnyBuild | None = None


class ChangedApplication(RuntimeFields):
    kind: NamedKind | None = None
    name: Label | None = None
    source: AnySource | None = None
    build: AnyBuild | None = None
    replicas: Annotated[int | None, Field(ge=0, le=50)] = None
    workload: Label | None = None
    """Whose replicas; null: the only one's."""
    webhook_secret: Annotated[Text | None, Field(min_length=8, max_length=200)] = None

    @field_validator("name", "source", "replicas")
    @classmethod
    def there(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("has a value always; leave it away to keep it")
        return value

    @model_validator(mode="after")
    def scaled(self) -> Self:
        if self.workload is not None and self.replicas is None:
            raise ValueError("has a workload only with the replicas that it is to have")
        return self


_RUNTIME = tuple(RuntimeFields.model_fields)


def source_of(given: Git | Image) -> Source:
    if isinstance(given, Image):
        return ImageSource(image=given.image)
    return GitSource(
        url=given.url,
        branch=given.branch,
        tag=given.tag,
        commit=given.commit,
        path=given.path.strip("/"),
    )


def runtime_of(body: RuntimeFields, former: Runtime, seal: Seal) -> dict[str, Any]:
    """The fields of Runtime that were sent. Raises Invalid."""
    changed = given(body, *_RUNTIME)
    if "mounts" in changed:
        changed["mounts"] = mounts_of(body.mounts, former.mounts, seal)
    if "ports" in changed:
        changed["ports"] = ports_of(body.ports)
    if "init" in changed:
        changed["init"] = tuple(map(tuple, body.init))
    if isinstance(health := changed.get("health_check"), Health):
        words = tuple(health.command) if health.command else None
        changed["health_check"] = HealthCheck(**{**health.model_dump(), "command": words})
    if isinstance(command := changed.get("command"), list):
        changed["command"] = tuple(command)
    return changed


def not_too_large(settings: Settings | None) -> None:
    """Raises Invalid."""
    if settings is None:
        return
    if (size := _stored(settings)) <= LARGEST:
        return
    told = f"the settings have {size} bytes together, as they are stored, {LARGEST} at most"
    mounts = settings.runtime.mounts if isinstance(settings, ApplicationSettings) else ()
    files = [(index, each) for index, each in enumerate(mounts) if isinstance(each, FileMount)]
    index, file = max(files, key=lambda found: _stored(found[1]), default=(0, None))
    sealed = ", a third more than its content, as it is sealed" if file and file.sealed else ""
    raise Invalid(
        f"{told}: the file {file.path} has {_stored(file)} of them{sealed}" if file else told,
        pointer=f"/mounts/{index}/content" if file else None,
        hint="put what is long into a file of the repository or of the image, or into a volume",
    )


def _stored(value: Value) -> int:
    """Bytes."""
    return len(value.model_dump_json().encode())
