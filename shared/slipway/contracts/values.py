"""Values that several events carry."""

import hashlib
import json
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo

from slipway.contracts.clipping import Clipped, at_most, only
from slipway.contracts.event import STORED, Value
from slipway.contracts.said import Said


class Sealed(Value):
    """A secret as ciphertext. `key` names the key that opens it: an organization's id, or
    `gateway`; `text` is base64 of HPKE's encapsulation and ciphertext."""

    key: str
    text: str


class Variable(Value):
    """`value` in clear, or `sealed` when secret; exactly one of the two is set."""

    name: str
    value: str | None = None
    sealed: Sealed | None = None

    @property
    def secret(self) -> bool:
        return self.sealed is not None


type Scope = Literal["organization", "project", "environment", "service"]


class ScopedVariables(Value):
    scope: Scope
    items: tuple[Variable, ...] = ()


class GitSource(Value):
    kind: Literal["git"] = "git"
    url: str
    branch: str = "main"
    path: str = ""


class ImageSource(Value):
    kind: Literal["image"] = "image"
    image: str


type Source = Annotated[GitSource | ImageSource, Field(discriminator="kind")]


def inside(path: str, info: ValidationInfo) -> str:
    """A path inside the repository. Asked of who says it; what is stored is read as it is."""
    if info.context is STORED:
        return path
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("has to be a path inside the repository, without ..")
    return path


PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
RepositoryPath = Annotated[str, Said(400, PRINTABLE), AfterValidator(inside)]
ArgName = Annotated[str, Said(100, r"^[A-Za-z_][A-Za-z0-9_]*$")]
ArgText = Annotated[str, Said(4000, r"^[^\x00]*$")]


class DockerfileBuild(Value):
    """As the owner says it, so its bounds are those of what clients send."""

    kind: Literal["dockerfile"] = "dockerfile"
    file: RepositoryPath = "Dockerfile"
    context: RepositoryPath = "."
    target: Annotated[str | None, Said(100, r"^[A-Za-z0-9._-]+$")] = None
    args: Annotated[dict[ArgName, ArgText], Said(100)] = Field(default_factory=dict)


class StaticBuild(Value):
    """As the owner says it: a folder of files; `spa`: what is not there is answered by its
    index.html."""

    kind: Literal["static"] = "static"
    directory: RepositoryPath = "."
    spa: StrictBool = False


type Build = Annotated[DockerfileBuild | StaticBuild, Field(discriminator="kind")]


class HealthCheck(Value):
    """Asked inside the container: `path` by HTTP GET on the port (2xx or 3xx is healthy), with
    `host` as its Host, or `command` (exit code 0). Times in seconds."""

    path: str | None = None
    host: str | None = None
    command: tuple[str, ...] | None = None
    interval: float = 5.0
    timeout: float = 5.0
    retries: int = 3
    start_period: float = 60.0


class Runtime(Value):
    """How a release runs. `port` None is chosen from the image, "none" is none whatever the image
    exposes. `cpu_limit` in cores, `memory_limit` in bytes, times in seconds."""

    port: int | Literal["none"] | None = None
    command: tuple[str, ...] | None = None
    health_check: HealthCheck | None = None
    cpu_limit: float | None = None
    memory_limit: int | None = None
    settle_seconds: float = 5.0
    drain_seconds: float = 5.0


class ApplicationSettings(Value):
    """A program of the owner's own: where its code or image comes from, and how it is run."""

    kind: Literal["application"] = "application"
    source: Source
    build: Build | None = None
    runtime: Runtime = Runtime()


type Kind = Literal["application"]
type Settings = ApplicationSettings
"""What the owner says of a service: one model for each kind, told apart by `kind`. A second kind
makes it `Annotated[… | …, Field(discriminator="kind")]`, which is stored in the same way, and every
`match` that has no arm for it fails the type check."""


class Specification(Value):
    """All that a deployment needs, so that it can be repeated exactly. Not the replicas and not
    whether it runs: those belong to the service and act at once. Values of variables may
    hold references; see `variables.resolve`."""

    name: str
    """The service's name: its DNS name in the environment."""
    settings: Settings
    variables: tuple[ScopedVariables, ...] = ()

    def digest(self) -> str:
        """SHA-256 of the canonical form (hex, 32 characters); the label `slipway.spec`."""
        body = json.dumps(_canonical(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()[:32]


def _canonical(value: Any) -> Any:
    """As JSON has it, without what has its default, so that a field which comes later changes no
    digest; `kind` always, because it tells what the rest means."""
    match value:
        case Value():
            fields = type(value).model_fields
            return {
                name: _canonical(found)
                for name, found in value
                if name == "kind" or found != fields[name].get_default(call_default_factory=True)
            }
        case tuple():
            return [_canonical(item) for item in cast("tuple[Any, ...]", value)]
        case dict():
            return {name: _canonical(each) for name, each in cast("dict[str, Any]", value).items()}
        case _:
            return value


class GitCommit(Clipped):
    hash: Annotated[str, at_most(100)]
    message: Annotated[str, at_most(2000)] = ""
    author: Annotated[str, at_most(400)] = ""


class BuiltImage(Clipped):
    """What runs: `reference` is an image id (`sha256:…`) or `name@sha256:…`, never a tag.
    `node` is the swarm node that has it when no registry does; `source` the name it came by."""

    reference: str
    node: str | None = None
    source: str | None = None
    ports: Annotated[tuple[int, ...], only(slice(100))] = ()
    """TCP ports which the image exposes, ascending; the first hundred of them."""


class Failure(Clipped):
    """Why something ended badly: a stable `reason` (kebab case), what happened in one sentence
    with the true figures, the last lines of output (40 at most), and the next step."""

    reason: Annotated[str, at_most(100)]
    detail: Annotated[str, at_most(3000)]
    hint: Annotated[str, at_most(4000)] = ""
    lines: Annotated[tuple[Annotated[str, at_most(2000)], ...], only(slice(-40, None))] = ()


class Step(Clipped):
    """One step of a build or rollout. ISO 8601 UTC times; `ended` None while it runs."""

    name: Annotated[str, at_most(500)]
    started: Annotated[str, at_most(50)]
    ended: Annotated[str | None, at_most(50)] = None
    cached: bool = False


Steps = Annotated[tuple[Step, ...], only(slice(-300, None))]
"""The last 300 where there were more."""
