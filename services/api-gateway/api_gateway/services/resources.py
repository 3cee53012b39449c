"""What a program is given of the host, as clients say it: memory, mounts, ports."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, assert_never

from pydantic import AfterValidator, Field, StringConstraints, field_validator
from slipway.contracts.values import (
    FileMount,
    Mount,
    PublishedPort,
    Sealed,
    TmpfsMount,
    VolumeMount,
)
from slipway.kernel.errors import Invalid

from api_gateway.http.patterns import ASKED_PATH, LABEL, MODE, USER
from api_gateway.http.schema import Body, Text, of_kind
from api_gateway.services.consistent import inside

_SIZE = re.compile(r"([0-9]{1,15}) *([kmg]i?b?)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_LEAST, _MOST = 6 * 1024**2, 1 << 44
_LEAST_TMPFS, _MOST_TMPFS = 1 << 12, 1 << 34
_RESERVED = ("/.slipway", "/proc", "/sys", "/dev")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - inside a container
_MADE = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/.dockerenv")
"""Files that the engine makes in each container."""
_LONGEST_NAME = 255
"""Bytes of a name in a path, as Linux has them."""
_LAST_ID = (1 << 31) - 1
"""Of users and groups, as engines take them."""

LARGEST = 32 * 1024
"""Bytes of all settings of a service as they are stored: JSON, a secret file with a third on top,
as base64. With the most that four levels of variables may hold a specification stays below 256 KiB,
so nothing is refused only when it is deployed."""

Port = Annotated[int, Field(ge=1, le=65535)]
type Words = Annotated[str, Field(max_length=20)]
"""A size, such as 512m."""
type Size = Annotated[int, Field(ge=_LEAST, le=_MOST)] | Words
type Seal = Callable[[str, str], Sealed]
"""(path, content) of a secret file → its content, sealed to the organization's key."""


def memory(value: int | str | None) -> int | None:
    """Bytes. Raises ValueError."""
    return _bytes(value, _LEAST, _MOST, "has to be from 6 MiB to 16 TiB")


def _bytes(value: int | str | None, least: int, most: int, bounds: str) -> int | None:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("has to be a number of bytes, or such as 512m")
    found = int(match[1]) * _UNITS[(match[2] or "").lower()[:1]]
    if not least <= found <= most:
        raise ValueError(bounds)
    return found


def _place(value: str) -> str:
    """Raises ValueError where no engine makes a container with something there."""
    parts = value.split("/")[1:]
    if not all(parts) or {".", ".."} & set(parts):
        raise ValueError("has to be an absolute path, such as /data, without .. and //")
    if max(map(len, parts)) > _LONGEST_NAME:
        raise ValueError(f"has a name of more than {_LONGEST_NAME} characters in it")
    for kept in _RESERVED:
        if inside(value, kept):
            raise ValueError(f"{kept} is the platform's or the kernel's own")
    for made in _MADE:
        if inside(value, made):
            raise ValueError(f"{made} is made by the engine, in each container")
    return value


def _folder(value: str) -> str:
    return value if value == _SHARED_MEMORY else _place(value)


def _user(value: str | None) -> str | None:
    for part in (value or "").split(":"):
        if part.isdecimal() and int(part) > _LAST_ID:
            raise ValueError(f"has a number that is too high: users and groups go to {_LAST_ID}")
    return value


User = Annotated[str | None, StringConstraints(max_length=100, pattern=USER), AfterValidator(_user)]
_Said = Annotated[str, StringConstraints(min_length=2, max_length=400, pattern=ASKED_PATH)]
Path = Annotated[_Said, AfterValidator(_place)]
Folder = Annotated[_Said, AfterValidator(_folder)]


class Volume(Body):
    """A volume of the service: it outlives deployments."""

    kind: Literal["volume"]
    name: Annotated[str, StringConstraints(max_length=63, pattern=LABEL)]
    path: Folder


class File(Body):
    """`content` byte for byte, `mode` in octal. One that is `secret` is never shown again, and
    keeps its content where it comes without any."""

    kind: Literal["file"]
    path: Path
    content: Annotated[Text | None, Field(min_length=1, max_length=LARGEST)] = None
    mode: Annotated[str, StringConstraints(max_length=4, pattern=MODE)] = "0444"
    secret: bool = False


class Tmpfs(Body):
    """A folder in memory, of `size` bytes at most."""

    kind: Literal["tmpfs"]
    path: Folder
    size: Annotated[int, Field(ge=_LEAST_TMPFS, le=_MOST_TMPFS)] | Words = 64 << 20

    @field_validator("size")
    @classmethod
    def bytes_(cls, value: int | str) -> int | None:
        return _bytes(value, _LEAST_TMPFS, _MOST_TMPFS, "has to be from 4 KiB to 16 GiB")


type AnyMount = Annotated[
    Volume | File | Tmpfs,
    Field(discriminator="kind"),
    of_kind("mount", "volume", "file", "tmpfs"),
]


class Published(Body):
    """`port` of the program is `published` on the host."""

    port: Port
    published: Port
    protocol: Literal["tcp", "udp"] = "tcp"


def mounts_of(given: Sequence[AnyMount], former: Sequence[Mount], seal: Seal) -> tuple[Mount, ...]:
    """`former`: as they were, for secret files that come without their content. Raises Invalid."""
    before = {mount.path: mount for mount in former if isinstance(mount, FileMount)}

    def made(index: int, mount: AnyMount) -> Mount:
        match mount:
            case Volume():
                return VolumeMount(name=mount.name, path=mount.path)
            case Tmpfs():
                return TmpfsMount.model_validate(mount.model_dump())
            case File():
                return _file(index, mount, before, seal)
            case _:
                assert_never(mount)

    return tuple(made(index, mount) for index, mount in enumerate(given))


def _file(index: int, given: File, before: Mapping[str, FileMount], seal: Seal) -> FileMount:
    if given.content is not None:
        if given.secret:
            sealed = seal(given.path, given.content)
            return FileMount(path=given.path, sealed=sealed, mode=given.mode)
        return FileMount(path=given.path, content=given.content, mode=given.mode)
    old = before.get(given.path)
    if given.secret and old is not None and old.sealed is not None:
        return FileMount(path=given.path, sealed=old.sealed, mode=given.mode)
    raise Invalid(
        "this secret file has no content yet to keep" if given.secret else "a content is missing",
        pointer=f"/mounts/{index}/content",
    )


def ports_of(given: Sequence[Published]) -> tuple[PublishedPort, ...]:
    return tuple(PublishedPort.model_validate(port.model_dump()) for port in given)
