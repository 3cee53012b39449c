"""What a service of each kind runs."""

from typing import Any, Literal, get_args

import pytest
from builder.build.variables import with_files
from builder.workloads import workloads_of
from slipway.contracts import values
from slipway.contracts.values import (
    After,
    ApplicationSettings,
    Attachment,
    BuiltImage,
    FileMount,
    HealthCheck,
    ImageSource,
    PublishedPort,
    RawProgram,
    RawSettings,
    Runtime,
    Sealed,
    Specification,
    VolumeMount,
)
from slipway.contracts.workload import MAIN, Workload

IMAGE = BuiltImage(reference="sha256:1", node="node1")


def test_there_are_no_other_kinds():
    assert get_args(values.Kind.__value__) == ("application", "raw")


def program(runtime: Runtime, ports: tuple[int, ...] = (), **variables: str) -> Workload:
    settings = ApplicationSettings(source=ImageSource(image="web:1"), runtime=runtime)
    specification = Specification(name="web", settings=settings)
    image = IMAGE.model_copy(update={"ports": ports})
    (one,) = workloads_of(specification, {MAIN: image}, variables).items
    return one


def test_an_application_is_one_workload_by_the_name_of_its_service():
    found = program(Runtime(), MODE="live")
    assert found == Workload(
        name="main", image=IMAGE, aliases=("web",), environment={"MODE": "live"}
    )


def test_it_runs_as_its_owner_says():
    said: dict[str, Any] = {
        "command": ("serve", "--all"), "health_check": HealthCheck(path="/up"), "cpu_limit": 0.5,
        "memory_limit": 1 << 28, "settle_seconds": 1.0, "drain_seconds": 0.0, "port": 3000,
        "mounts": (VolumeMount(name="data", path="/data"), FileMount(path="/f", content="x")),
        "ports": (PublishedPort(port=3000, published=8080),), "strategy": "stop_first",
        "user": "app", "stop_signal": "SIGINT", "stop_grace_seconds": 9.0,
        "labels": {"team": "blue"}, "cpu_reservation": 0.25, "memory_reservation": 1 << 27,
    }  # fmt: skip
    assert said.keys() | {"init", "rollout_seconds"} == Runtime.model_fields.keys()
    found = program(Runtime(**said))
    assert {name: getattr(found, name) for name in said} == said


def test_what_it_begins_with_are_jobs_one_after_another_and_then_the_program():
    runtime = Runtime(
        init=(("migrate", "--all"), ("seed",)), command=("serve",), port=80, user="app",
        mounts=(VolumeMount(name="data", path="/data"),), cpu_limit=0.5, memory_limit=1 << 28,
        cpu_reservation=0.25, memory_reservation=1 << 27, stop_signal="SIGINT",
        stop_grace_seconds=9.0, ports=(PublishedPort(port=80, published=8080),),
        labels={"team": "blue"}, health_check=HealthCheck(path="/up"), strategy="stop_first",
    )  # fmt: skip
    settings = ApplicationSettings(source=ImageSource(image="web:1"), runtime=runtime)
    specification = Specification(name="web", settings=settings)
    first, second, main = workloads_of(specification, {MAIN: IMAGE}, {"MODE": "live"}).items
    assert first == Workload(
        name="init-1", job=True, command=("migrate", "--all"), image=IMAGE, user="app",
        environment={"MODE": "live", "PORT": "80"}, mounts=runtime.mounts, cpu_limit=0.5,
        memory_limit=1 << 28, cpu_reservation=0.25, memory_reservation=1 << 27,
        stop_signal="SIGINT", stop_grace_seconds=9.0,
    )  # fmt: skip
    own = {
        "name": "init-2", "command": ("seed",),
        "after": (After(workload="init-1", condition="completed"),),
    }  # fmt: skip
    assert second == first.model_copy(update=own)
    assert (main.name, main.job, main.command, main.aliases) == (MAIN, False, ("serve",), ("web",))
    assert main.after == (After(workload="init-2", condition="completed"),)


def test_a_secret_file_holds_its_content():
    sealed = FileMount(path="/k", sealed=Sealed(key="o", text="c"), mode="0400")
    plain = FileMount(path="/p", content="p")
    settings = ApplicationSettings(
        source=ImageSource(image="web:1"), runtime=Runtime(mounts=(sealed, plain))
    )
    found, hidden = with_files(
        settings, lambda sealed, scope, name: f"{scope} {name} {sealed.text}"
    )
    assert isinstance(found, ApplicationSettings)
    content = FileMount(path="/k", content="service file:/k c", mode="0400")
    assert found.runtime.mounts == (content, plain)
    assert hidden == [content.content]
    raw = RawSettings(workloads=(RawProgram(name="web", image="nginx"),))
    assert with_files(raw, lambda *_: "") == (raw, ())


@pytest.mark.parametrize(
    ("wanted", "exposed", "port"),
    [
        (None, (), None),
        (None, (80,), 80),
        (None, (80, 443), None),
        ("none", (), None),
        ("none", (80,), None),
        (3000, (), 3000),
        (3000, (80,), 3000),
        (3000, (80, 443), 3000),
    ],
)
def test_the_port_is_the_wanted_one_or_the_only_one(
    wanted: int | Literal["none"] | None, exposed: tuple[int, ...], port: int | None
):
    found = program(Runtime(port=wanted), exposed)
    assert found.port == port
    assert found.environment == ({} if port is None else {"PORT": str(port)})


def test_the_owners_own_port_variable_stays():
    assert program(Runtime(port=3000), PORT="8080").environment == {"PORT": "8080"}


def test_raw_workloads_are_what_they_say_with_their_images_and_the_service_s_variables():
    web = RawProgram(name="web", image="nginx", environment={"MODE": "own"}, port=80)
    back = (Attachment(name="back"), Attachment(name="more", aliases=("boss",)))
    job = RawProgram(name="job", image="app", job=True, aliases=("first", "second"), networks=back)
    specification = Specification(name="shop", settings=RawSettings(workloads=(web, job)))
    images = {"web": IMAGE, "job": BuiltImage(reference="sha256:2")}
    variables = {"MODE": "live", "KEY": "k"}
    found = workloads_of(specification, images, variables).items
    assert found == (
        Workload(
            name="web", image=IMAGE, environment={"MODE": "own", "KEY": "k"}, port=80,
            aliases=("shop-web",),
            networks=(Attachment(name="default", aliases=("web",)),),
        ),
        Workload(
            name="job", image=images["job"], environment=variables, job=True,
            aliases=("first", "second"),
            networks=(Attachment(name="back", aliases=("job",)), back[1]),
        ),
    )  # fmt: skip
