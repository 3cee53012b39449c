"""What a service of each kind runs."""

from typing import Any, Literal, get_args

import pytest
from builder.workloads import workloads_of
from slipway.contracts import values
from slipway.contracts.values import (
    ApplicationSettings,
    Attachment,
    BuiltImage,
    HealthCheck,
    ImageSource,
    RawProgram,
    RawSettings,
    Runtime,
    Specification,
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
    }  # fmt: skip
    assert said.keys() == Runtime.model_fields.keys()
    found = program(Runtime(**said))
    assert {name: getattr(found, name) for name in said} == said


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
