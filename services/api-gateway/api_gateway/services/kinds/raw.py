"""What a client says of a service of kind `raw`: workloads as they are. On test instances alone."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from slipway.contracts.values import PRINTABLE, RawProgram, Strategy
from slipway.contracts.workload import MOST

from api_gateway.http.patterns import VARIABLE
from api_gateway.http.schema import Body, Text
from api_gateway.services.resources import Port, Published, Tmpfs, User, Volume
from api_gateway.services.schema import Health, Label, Seconds, Signal, Word, reference

_Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]
_Variable = Annotated[str, StringConstraints(max_length=200, pattern=VARIABLE)]
_Few = Field(max_length=20)


class Behind(Body):
    workload: Label
    condition: Literal["started", "healthy", "completed"] = "started"


class Attached(Body):
    name: Label
    aliases: Annotated[list[Label], _Few] = Field(default_factory=list)


class RawWorkload(Body):
    """The fields of `RawProgram`, bounded."""

    name: Label
    image: Annotated[str, Field(min_length=1, max_length=400), AfterValidator(reference)]
    command: Annotated[list[Word] | None, Field(min_length=1, max_length=200)] = None
    environment: Annotated[dict[_Variable, Text], Field(max_length=100)] = Field(
        default_factory=dict
    )
    aliases: Annotated[list[Label], _Few] = Field(default_factory=list)
    networks: Annotated[list[Attached], _Few] = Field(default_factory=list)
    port: Port | None = None
    health_check: Health | None = None
    mounts: Annotated[list[Annotated[Volume | Tmpfs, Field(discriminator="kind")]], _Few] = Field(
        default_factory=list
    )
    ports: Annotated[list[Published], _Few] = Field(default_factory=list)
    labels: Annotated[dict[_Key, Text], Field(max_length=50)] = Field(default_factory=dict)
    user: User = None
    stop_signal: Signal | None = None
    stop_grace_seconds: Annotated[float | None, Field(ge=0, le=600)] = None
    cpu_limit: Annotated[float | None, Field(ge=0.01, le=512)] = None
    memory_limit: Annotated[int | None, Field(ge=6 << 20, le=1 << 44)] = None
    cpu_reservation: Annotated[float | None, Field(ge=0.01, le=512)] = None
    memory_reservation: Annotated[int | None, Field(ge=6 << 20, le=1 << 44)] = None
    job: bool = False
    after: Annotated[list[Behind], Field(max_length=MOST)] = Field(default_factory=list)
    strategy: Strategy | None = None
    replicas: Annotated[int, Field(ge=0, le=50)] = 1
    settle_seconds: Seconds = 5.0
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 5.0


Workloads = Annotated[list[RawWorkload], Field(min_length=1, max_length=MOST)]


class NewRaw(Body):
    kind: Literal["raw"]
    name: Label
    workloads: Workloads


def programs(workloads: Sequence[RawWorkload]) -> tuple[RawProgram, ...]:
    return tuple(RawProgram.model_validate(workload.model_dump()) for workload in workloads)
