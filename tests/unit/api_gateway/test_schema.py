"""What clients may say of services."""

import subprocess
from typing import Any

import pytest
from api_gateway.domains.routes import NewDomain
from api_gateway.services import schema
from pydantic import TypeAdapter, ValidationError
from slipway.contracts.values import (
    ApplicationSettings,
    DockerfileBuild,
    GitSource,
    HealthCheck,
    ImageSource,
    Runtime,
    Sealed,
    StaticBuild,
)
from slipway.kernel.errors import Invalid

MIB = 1024**2


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (None, None),
        (64 * MIB, 64 * MIB),
        ("67108864", 64 * MIB),
        ("64m", 64 * MIB),
        ("64 MiB", 64 * MIB),
        ("1g", 1024 * MIB),
        ("6144K", 6 * MIB),
    ],
)
def test_sizes(given: Any, size: int | None):
    assert schema.RuntimeFields(memory_limit=given).memory_limit == size


@pytest.mark.parametrize("given", ["1k", "5m", 5, -1, "17t", "99999999g", "m", "", True, 64.5])
def test_no_sizes(given: Any):
    with pytest.raises(ValidationError):
        schema.RuntimeFields(memory_limit=given)


def test_a_line_is_split_into_words():
    assert schema.RuntimeFields(command="python -c 'print(1)'").command == [
        "python", "-c", "print(1)",
    ]  # fmt: skip
    assert schema.RuntimeFields(command=["a b"]).command == ["a b"]
    assert schema.RuntimeFields(command=" ").command is None


@pytest.mark.parametrize("name", ["web", "a", "a-1", "x" * 63])
def test_names(name: str):
    assert TypeAdapter(schema.Label).validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", "Web", "1a", "127", "0x7f", "-a", "a-", "a_b", "a.b", "x" * 64, "a\n", "ä", "a b"]
)
def test_no_names(name: str):
    with pytest.raises(ValidationError):
        TypeAdapter(schema.Label).validate_python(name)


def test_the_path_is_inside_whatever_slashes_it_has():
    given = schema.Git(kind="git", url="https://git.example.org/a.git", path="sub/")
    assert schema.source_of(given) == GitSource(url="https://git.example.org/a.git", path="sub")


REFS = [
    "-x", "a..b", "a b", "", "a\x00", "ref^", "a~1", "a:b", "a?", "a*", "a[", "a\\b", "/a", "a/",
    "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "@", "a@{1}", "a\x7f", "HEAD",
    "main", "feature/#1", "a+b", "user@home", "(a)", "a]", "{a}", "übel", "名", "a.b", "@a",
    "x" * 200,
]  # fmt: skip


@pytest.mark.parametrize("name", REFS)
def test_branches_and_tags_are_what_git_calls_so(name: str):
    argv = ["git", "check-ref-format", "--branch", name]
    known = "\0" not in name and (
        subprocess.run(argv, capture_output=True, check=False).returncode == 0
    )
    for field in ("branch", "tag"):
        try:
            schema.Git.model_validate({"kind": "git", "url": "https://a.example/a", field: name})
            allowed = True
        except ValidationError:
            allowed = False
        assert allowed is known, field


@pytest.mark.parametrize(
    "more",
    [{"branch": "x" * 201}, {"branch": "a", "tag": "b"}, {"tag": "a", "commit": "1" * 40},
     {"commit": "1" * 39}, {"commit": "main"}, {"commit": "A" * 40}],
)  # fmt: skip
def test_it_is_one_branch_tag_or_commit(more: Any):
    with pytest.raises(ValidationError):
        schema.Git.model_validate({"kind": "git", "url": "https://a.example/a", **more})


def test_without_any_it_is_the_default_branch():
    given = schema.Git.model_validate({"kind": "git", "url": "https://a.example/a"})
    source = schema.source_of(given)
    assert source == GitSource(url="https://a.example/a", branch=None)


@pytest.mark.parametrize("path", ["/etc", "../x", "a/../b", "a\x00b", "a\nb"])
def test_no_paths(path: str):
    with pytest.raises(ValidationError):
        schema.Git(kind="git", url="https://a.example/a", path=path)
    with pytest.raises(ValidationError):
        StaticBuild(directory=path)


@pytest.mark.parametrize(
    "image",
    ["nginx", "a/b/c:1.2_3-x", "r.example:5000/a", "localhost:5000/a-b/c__d",
     "R.Example/a:Tag", "a@sha256:" + "0" * 64],
)  # fmt: skip
def test_images(image: str):
    assert schema.Image(kind="image", image=image).image == image


@pytest.mark.parametrize(
    "image",
    ["", "-x", "a b", "nginx@sha256:1", "UPPER", "a\n", "$(x)", "a/../nginx:stable", "a//b", "a:",
     "x/../../../v1.24/images/nginx", "sha256:96", "a/", "a:b:c", "a/B", "a..b", "a/-b",
     f"a:{'t' * 129}", "a" * 256],
)  # fmt: skip
def test_no_images(image: str):
    with pytest.raises(ValidationError):
        schema.Image(kind="image", image=image)


def sealed(path: str, content: str) -> Sealed:
    return Sealed(key="o1", text=f"{path}={content}")


def test_what_was_sent_is_what_changes():
    body = schema.ChangedApplication.model_validate(
        {"port": None, "cpu_limit": 1, "health_check": {"command": ["true"]}, "command": "a b"}
    )
    assert schema.runtime_of(body, Runtime(), sealed) == {
        "port": None,
        "command": ("a", "b"),
        "health_check": HealthCheck(command=("true",)),
        "cpu_limit": 1.0,
    }


def test_nan_is_no_number():
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            schema.RuntimeFields(cpu_limit=number)
        with pytest.raises(ValidationError):
            schema.RuntimeFields(settle_seconds=number)


def test_a_specification_does_not_grow_without_end():
    settings = ApplicationSettings(source=ImageSource(image="nginx"))
    schema.not_too_large(settings)
    build = DockerfileBuild(args={f"A{n}": "x" * 4000 for n in range(9)})
    with pytest.raises(Invalid):
        schema.not_too_large(settings.model_copy(update={"build": build}))
    runtime = Runtime(command=("x" * schema.LARGEST,))
    with pytest.raises(Invalid):
        schema.not_too_large(settings.model_copy(update={"runtime": runtime}))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("Shop.Example.org", "shop.example.org"),
        ("shop.example.org.", "shop.example.org"),
        (" shop.example.org ", "shop.example.org"),
        ("localhost", "localhost"),
    ],
)
def test_hosts(host: str, shown: str):
    assert NewDomain(host=host).host == shown


@pytest.mark.parametrize(
    "host",
    ["", ".", "a..b", "-a.b", "a-.b", "*.example.org", "a_b.c", "ä.example", "a b", "a\x00",
     "https://a.b", "a.b/c", "a:80", f"{'x' * 64}.org", ".".join(["x" * 60] * 5), "a.b`"],
)  # fmt: skip
def test_no_hosts(host: str):
    with pytest.raises(ValidationError):
        NewDomain(host=host)


@pytest.mark.parametrize("path", ["", "a", "/a b", "/`", '/"', "/\\", "/a?b", "/#", "/\n"])
def test_no_paths_of_hosts(path: str):
    with pytest.raises(ValidationError):
        NewDomain(host="a.example", path=path)


def test_the_host_of_a_health_check():
    check = schema.Health.model_validate({"path": "/", "host": "Shop.Example."})
    assert check.host == "shop.example"
    for body in (
        {"path": "/", "host": "shop.example\r\nX: y"}, {"path": "/", "host": "a b"},
        {"path": "/", "host": ""}, {"path": "/", "host": "a." * 128}, {"host": "shop.example"},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            schema.Health.model_validate(body)
