"""What clients may say of what a program is given of the host, and what fits together."""

from typing import Any

import pytest
from api_gateway.services import consistent, domain, schema
from pydantic import ValidationError
from slipway.contracts.values import (
    ApplicationSettings,
    FileMount,
    HealthCheck,
    ImageSource,
    PublishedPort,
    RawProgram,
    RawSettings,
    Runtime,
    Sealed,
    TmpfsMount,
    VolumeMount,
)
from slipway.kernel.errors import Invalid

DATA = VolumeMount(name="data", path="/data")
KEPT = FileMount(path="/k", sealed=Sealed(key="o1", text="kept"))
WEB = PublishedPort(port=80, published=8080)


def sealed(path: str, content: str) -> Sealed:
    return Sealed(key="o1", text=f"{path}={content}")


def read(former: Runtime | None = None, **said: Any) -> dict[str, Any]:
    body = schema.RuntimeFields.model_validate(said)
    return schema.runtime_of(body, former or Runtime(), sealed)


def file(**said: Any) -> dict[str, Any]:
    return {"kind": "file", "path": "/etc/app.conf", **said}


@pytest.mark.parametrize(
    ("said", "mount"),
    [
        ({"kind": "volume", "name": "data", "path": "/data"}, DATA),
        ({"kind": "tmpfs", "path": "/t"}, TmpfsMount(path="/t")),
        ({"kind": "tmpfs", "path": "/t", "size": "4k"}, TmpfsMount(path="/t", size=4096)),
        ({"kind": "tmpfs", "path": "/t", "size": 1 << 20}, TmpfsMount(path="/t", size=1 << 20)),
        (file(content=" ${{A}}\r\n"), FileMount(path="/etc/app.conf", content=" ${{A}}\r\n")),
        (file(content="x", mode="640"), FileMount(path="/etc/app.conf", content="x", mode="640")),
        (
            file(content="s", secret=True),
            FileMount(path="/etc/app.conf", sealed=sealed("/etc/app.conf", "s")),
        ),
        ({"kind": "file", "path": "/k", "secret": True}, KEPT),
        (
            {"kind": "file", "path": "/k", "secret": True, "mode": "0400"},
            KEPT.model_copy(update={"mode": "0400"}),
        ),
    ],
)
def test_mounts(said: Any, mount: Any):
    assert read(Runtime(mounts=(KEPT,)), mounts=[said])["mounts"] == (mount,)


@pytest.mark.parametrize(
    "said",
    [file(), file(secret=True), {"kind": "file", "path": "/k"}],
)
def test_a_file_has_its_content_unless_it_is_a_secret_that_was_there(said: Any):
    mounts = [{"kind": "tmpfs", "path": "/t"}, said]
    with pytest.raises(Invalid) as refused:
        read(Runtime(mounts=(KEPT,)), mounts=mounts)
    assert refused.value.pointer == "/mounts/1/content"


@pytest.mark.parametrize(
    "path",
    ["data", "/", "/a/../b", "/..", "/a//b", "/a/", "/./a", "/.slipway", "/.slipway/x", "/proc",
     "/proc/1", "/sys/fs", "/a b", "/a\n", "", f"/{'x' * 400}", "/dev", "/dev/null",
     "/dev/shm/x", "/etc/hosts", "/etc/resolv.conf/x", "/.dockerenv", f"/a/{'x' * 256}/b"],
)  # fmt: skip
@pytest.mark.parametrize(
    "said", [{"kind": "tmpfs"}, {"kind": "volume", "name": "a"}, {"kind": "file", "content": "x"}]
)
def test_no_places(path: str, said: dict[str, str]):
    with pytest.raises(ValidationError):
        schema.RuntimeFields.model_validate({"mounts": [{**said, "path": path}]})


def test_no_file_is_where_a_folder_is_in_each_container():
    with pytest.raises(ValidationError):
        schema.RuntimeFields.model_validate({"mounts": [file(path="/dev/shm", content="x")]})


@pytest.mark.parametrize(
    "path", ["/data", "/a/b.c", "/.slipway2", "/process", "/dev/shm", "/..a", "/etc/hosts2",
             "/etc", f"/a/{'x' * 255}"],
)  # fmt: skip
def test_places(path: str):
    assert read(mounts=[{"kind": "tmpfs", "path": path}])["mounts"][0].path == path


@pytest.mark.parametrize(
    "said",
    [
        {"mounts": [{"kind": "bind", "path": "/data", "source": "/etc"}]},
        {"mounts": [{"kind": "volume", "path": "/data"}]},
        {"mounts": [{"kind": "volume", "name": "A b", "path": "/data"}]},
        {"mounts": [{"kind": "tmpfs", "path": "/t", "size": "1k"}]},
        {"mounts": [{"kind": "tmpfs", "path": "/t", "size": "17g"}]},
        {"mounts": [file(content="")]},
        {"mounts": [file(content="a\x00")]},
        {"mounts": [file(content="x" * (32 * 1024 + 1))]},
        {"mounts": [file(content="x", mode="0999")]},
        {"mounts": [file(content="x", mode="4755")]},
        {"mounts": [{"kind": "tmpfs", "path": f"/{n}"} for n in range(21)]},
        {"ports": [{"port": 80, "published": 0}]},
        {"ports": [{"port": 70000, "published": 80}]},
        {"ports": [{"port": 80, "published": 80, "protocol": "sctp"}]},
        {"init": [[]]},
        {"init": [" "]},
        {"init": [["a"]] * 11},
        {"user": "a b"},
        {"user": "-x"},
        {"user": "a:b:c"},
        {"user": "a\n"},
        {"user": "2147483648"},
        {"user": "0:2147483648"},
        {"user": f"{10**40}:0"},
        {"stop_signal": "SIGKILL"},
        {"stop_signal": "15"},
        {"stop_grace_seconds": 0},
        {"stop_grace_seconds": 601},
        {"labels": {"": "x"}},
        {"labels": {"a\nb": "x"}},
        {"labels": {"a": 1}},
        {"labels": {f"a{n}": "" for n in range(51)}},
        {"cpu_reservation": 0},
        {"memory_reservation": "1k"},
        {"rollout_seconds": 9},
        {"rollout_seconds": 7201},
        {"strategy": "recreate"},
    ],
)
def test_what_nobody_may_say(said: Any):
    with pytest.raises(ValidationError):
        schema.RuntimeFields.model_validate(said)


def test_what_is_said_is_what_is_kept():
    said: dict[str, Any] = {
        "user": "1000:1000", "stop_signal": "SIGINT", "stop_grace_seconds": 12.5,
        "labels": {"team": "blue"}, "cpu_reservation": 0.25, "rollout_seconds": 900.0,
        "strategy": "stop_first",
    }  # fmt: skip
    assert read(**said) == said
    assert read(user="2147483647:2147483647")["user"] == "2147483647:2147483647"
    assert read(memory_reservation="64m") == {"memory_reservation": 64 << 20}
    assert read(init=["migrate --all 'a b'", ["seed", ""]]) == {
        "init": (("migrate", "--all", "a b"), ("seed", "")),
    }
    assert read(ports=[{"port": 80, "published": 8080}]) == {"ports": (WEB,)}


# -- what fits together ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runtime", "pointer"),
    [
        (Runtime(mounts=(DATA,), strategy="start_first"), "/strategy"),
        (Runtime(ports=(WEB,), strategy="start_first"), "/strategy"),
        (Runtime(mounts=(DATA, TmpfsMount(path="/data"))), "/mounts/1/path"),
        (Runtime(mounts=(KEPT, DATA, TmpfsMount(path="/k/t"))), "/mounts/2/path"),
        (Runtime(mounts=(VolumeMount(name="a", path="/k/v/w"), KEPT)), "/mounts/0/path"),
        (Runtime(ports=(WEB, PublishedPort(port=81, published=8080))), "/ports/1/published"),
        (Runtime(labels={"slipway.service": "x"}), "/labels"),
        (Runtime(cpu_limit=1, cpu_reservation=2), "/cpu_reservation"),
        (Runtime(memory_limit=1 << 24, memory_reservation=1 << 25), "/memory_reservation"),
        (Runtime(port="none", health_check=HealthCheck(path="/")), "/health_check/path"),
    ],
)
def test_what_does_not_fit_together(runtime: Runtime, pointer: str):
    with pytest.raises(Invalid) as refused:
        consistent.runs(runtime)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    "runtime",
    [
        Runtime(mounts=(TmpfsMount(path="/t"), KEPT), strategy="start_first"),
        Runtime(mounts=(DATA,), ports=(WEB,), strategy="stop_first"),
        Runtime(mounts=(DATA, VolumeMount(name="data", path="/other"))),
        Runtime(mounts=(DATA, TmpfsMount(path="/data/t"), TmpfsMount(path="/k2"), KEPT)),
        Runtime(ports=(WEB, PublishedPort(port=80, published=8080, protocol="udp"))),
        Runtime(labels={"slipway": "x"}, cpu_limit=1, cpu_reservation=1),
    ],
)
def test_what_does(runtime: Runtime):
    consistent.runs(runtime)


@pytest.mark.parametrize(
    ("runtime", "replicas", "scaled", "pointer"),
    [
        (Runtime(mounts=(DATA,)), 2, False, "/mounts"),
        (Runtime(ports=(WEB,)), 2, False, "/ports"),
        (Runtime(mounts=(DATA,)), 2, True, "/replicas"),
        (Runtime(mounts=(DATA,)), 1, True, None),
        (Runtime(mounts=(KEPT,)), 2, True, None),
        (Runtime(strategy="stop_first"), 2, True, None),
    ],
)
def test_what_two_cannot_have_runs_once(
    runtime: Runtime, replicas: int, scaled: bool, pointer: str | None
):
    settings = ApplicationSettings(source=ImageSource(image="web"), runtime=runtime)
    if pointer is None:
        consistent.once(settings, {"main": replicas}, scaled=scaled)
        return
    with pytest.raises(Invalid) as refused:
        consistent.once(settings, {"main": replicas}, scaled=scaled)
    assert refused.value.pointer == pointer


def stack(**said: Any) -> RawSettings:
    return RawSettings(
        workloads=(RawProgram(name="web", image="web"), RawProgram(name="db", image="db", **said))
    )


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"mounts": (DATA,), "replicas": 2}, "/workloads/1/replicas"),
        ({"ports": (WEB,), "replicas": 2}, "/workloads/1/replicas"),
        ({"mounts": (DATA,), "strategy": "start_first"}, "/workloads/1/strategy"),
        ({"mounts": (DATA, TmpfsMount(path="/data"))}, "/workloads/1/mounts/1/path"),
        ({"ports": (WEB, WEB)}, "/workloads/1/ports/1/published"),
        ({"cpu_limit": 1, "cpu_reservation": 2}, "/workloads/1/cpu_reservation"),
        ({"mounts": (DATA,), "strategy": "stop_first"}, None),
        ({"replicas": 2, "strategy": "start_first"}, None),
    ],
)
def test_nor_has_one_of_several_beside_itself(said: Any, pointer: str | None):
    if pointer is None:
        domain.agree(stack(**said))
        return
    with pytest.raises(Invalid) as refused:
        domain.agree(stack(**said))
    assert refused.value.pointer == pointer


def test_one_of_several_is_not_scaled_beside_itself():
    consistent.once(stack(mounts=(DATA,)), {"web": 2, "db": 1}, scaled=True)
    for scaled, pointer in ((True, "/replicas"), (False, "/workloads/1/mounts")):
        with pytest.raises(Invalid) as refused:
            consistent.once(stack(mounts=(DATA,)), {"web": 1, "db": 2}, scaled=scaled)
        assert refused.value.pointer == pointer
