"""Values that several events carry."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    StrictBool,
    ValidationInfo,
    model_serializer,
)

from slipway.contracts.clipping import Clipped, at_most, only
from slipway.contracts.event import PUBLIC, STORED, Value
from slipway.contracts.said import Said


class Sealed(Value):
    """A secret as ciphertext. `key` names the key that opens it: an organization's id, or
    `gateway`; `text` is base64 of HPKE's encapsulation and ciphertext."""

    key: str
    text: str

    @model_serializer(mode="wrap")
    def _outside(
        self, written: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, str] | None:
        return None if info.context is PUBLIC else written(self)


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
    """At most one of `branch`, `tag` and `commit`; without any it is the remote's default
    branch."""

    kind: Literal["git"] = "git"
    url: str
    branch: str | None = None
    tag: str | None = None
    commit: str | None = None
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


class VolumeMount(Value):
    """A volume of the service, by its name, under `path`. It outlives deployments."""

    kind: Literal["volume"] = "volume"
    name: str
    path: str


class TmpfsMount(Value):
    """A folder in memory, of `size` bytes at most."""

    kind: Literal["tmpfs"] = "tmpfs"
    path: str
    size: int = 64 << 20


class FileMount(Value):
    """A file at `path`, byte for byte. `content` in clear, or `sealed` when secret; exactly one of
    the two is set, and in a workload it is `content`. `mode` in octal, such as 0444."""

    kind: Literal["file"] = "file"
    path: str
    content: str | None = None
    sealed: Sealed | None = None
    mode: str = "0444"


def file_place(path: str) -> str:
    """The name under which a file's content is sealed, among those of the service's variables."""
    return f"file:{path}"


type Mount = Annotated[VolumeMount | FileMount | TmpfsMount, Field(discriminator="kind")]


class PublishedPort(Value):
    """`port` of the workload is `published` on the host."""

    port: int
    published: int
    protocol: Literal["tcp", "udp"] = "tcp"

    @property
    def on_host(self) -> str:
        """What two cannot have at once: `5432/tcp`."""
        return f"{self.published}/{self.protocol}"


type Strategy = Literal["start_first", "stop_first"]
"""How a new release takes the former's place: it is made beside it, or after it has ended."""


class Runtime(Value):
    """How a release runs. `port` None is chosen from the image, "none" is none whatever the image
    exposes. `init`: commands that run one after another, each to its end, before a deploy's release
    begins. `strategy` None is stop_first where something is held that two can't have at once.
    CPU in cores, memory in bytes, times in seconds."""

    port: int | Literal["none"] | None = None
    command: tuple[str, ...] | None = None
    health_check: HealthCheck | None = None
    cpu_limit: float | None = None
    memory_limit: int | None = None
    settle_seconds: float = 5.0
    drain_seconds: float = 5.0
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    strategy: Strategy | None = None
    init: tuple[tuple[str, ...], ...] = ()
    user: str | None = None
    stop_signal: str | None = None
    stop_grace_seconds: float | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    cpu_reservation: float | None = None
    memory_reservation: int | None = None
    rollout_seconds: float | None = None
    """How long a rollout may last; None: as long as its health check lets it, and ten minutes at
    least."""


class ApplicationSettings(Value):
    """A program of the owner's own: where its code or image comes from, and how it is run."""

    kind: Literal["application"] = "application"
    source: Source
    build: Build | None = None
    runtime: Runtime = Runtime()

    @property
    def health_checks(self) -> tuple[HealthCheck, ...]:
        """Those that are said."""
        return (self.runtime.health_check,) if self.runtime.health_check else ()

    @property
    def published(self) -> tuple[PublishedPort, ...]:
        """What it takes of the host."""
        return self.runtime.ports

    @property
    def rollout_seconds(self) -> float | None:
        return self.runtime.rollout_seconds

    @property
    def stop_seconds(self) -> float:
        """The longest that is said for the end of a program."""
        return self.runtime.stop_grace_seconds or 0.0


class After(Value):
    """Another workload of the release, and how far it has to have come before this one is made.
    `completed`: it is a job, and has ended with 0."""

    workload: str
    condition: Literal["started", "healthy", "completed"] = "started"


class Attachment(Value):
    """A network of the service's own, by its name, and the workload's names in it."""

    name: str
    aliases: tuple[str, ...] = ()


class Program(Value):
    """What runs, apart from its image. `name` is unique in its deployment; `command` stands in
    place of the image's own; `networks` are the service's own that it is in, and `aliases` its
    names in the environment's, in which it is too if it has none or `default`; `port` is where it
    listens, None where it has none. A `job` runs once, to its end. `replicas`: where nobody has
    scaled it. Times in seconds, CPU in cores, memory in bytes."""

    name: str
    command: tuple[str, ...] | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    networks: tuple[Attachment, ...] = ()
    port: int | None = None
    health_check: HealthCheck | None = None
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    user: str | None = None
    stop_signal: str | None = None
    stop_grace_seconds: float | None = None
    cpu_limit: float | None = None
    memory_limit: int | None = None
    cpu_reservation: float | None = None
    memory_reservation: int | None = None
    job: bool = False
    after: tuple[After, ...] = ()
    strategy: Strategy | None = None
    replicas: int = 1
    settle_seconds: float = 5.0
    drain_seconds: float = 5.0


class RawProgram(Program):
    """`image`: the reference of one that is pulled, or is there."""

    image: str


class RawSettings(Value):
    """Workloads as they are, on test instances alone: what carries several is tried by it."""

    kind: Literal["raw"] = "raw"
    workloads: tuple[RawProgram, ...]

    @property
    def health_checks(self) -> tuple[HealthCheck, ...]:
        return tuple(each.health_check for each in self.workloads if each.health_check)

    @property
    def published(self) -> tuple[PublishedPort, ...]:
        return tuple(port for each in self.workloads for port in each.ports)

    @property
    def rollout_seconds(self) -> float | None:
        return None

    @property
    def stop_seconds(self) -> float:
        return max(each.stop_grace_seconds or 0.0 for each in self.workloads)


type NamedKind = Literal["application"]
"""What the API names. `raw` is for test instances alone."""
type Kind = Literal["application", "raw"]
type Settings = Annotated[ApplicationSettings | RawSettings, Field(discriminator="kind")]
"""What the owner says of a service: one model for each kind, told apart by `kind`. Every `match`
that has no arm for one fails the type check."""


class Specification(Value):
    """All that a deployment needs, so that it can be repeated exactly. Not the replicas and not
    whether it runs: those belong to the service and act at once. Values of variables may
    hold references; see `variables.resolve`."""

    name: str
    """The service's name: its DNS name in the environment."""
    settings: Settings
    variables: tuple[ScopedVariables, ...] = ()


class GitCommit(Clipped):
    """`branch`: that it was cloned by."""

    hash: Annotated[str, at_most(100)]
    message: Annotated[str, at_most(2000)] = ""
    author: Annotated[str, at_most(400)] = ""
    branch: Annotated[str | None, at_most(1000)] = None


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
