"""Whatever a client sends that is wrong is refused with the place where it is wrong, and leaves no
trace in the log. The cases follow from the API's own description, so that no operation and no field
can be left out."""

import asyncio
import copy
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args
from uuid import uuid4

import pytest
from api_gateway.app import FEATURES
from api_gateway.http.application import build
from slipway.contracts.values import NamedKind

from tests.contract.test_api import PASSWORD, Platform, bare, platform

_fixtures = (bare, platform)
type Json = Any

DESCRIPTION: dict[str, Any] = build(None, FEATURES).openapi()  # pyright: ignore[reportArgumentType]
WRITES = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in DESCRIPTION["paths"].items()
    for method, operation in item.items()
    if method in ("post", "put", "patch", "delete")
}

IMAGE = {"kind": "image", "image": "nginx:stable"}
GIT = {"kind": "git", "url": "https://git.example.org/a.git", "branch": "main", "path": "sub"}
TAG = {"kind": "git", "url": "https://git.example.org/a.git", "tag": "v1"}
COMMIT = {"kind": "git", "url": "https://git.example.org/a.git", "commit": "1" * 40}
RUNTIME = {
    "port": 8080,
    "command": "python -m http.server",
    "health_check": {
        "path": "/up", "host": "up.example", "interval": 5, "timeout": 5, "retries": 3,
        "start_period": 9.5,
    },
    "cpu_limit": 0.5,
    "memory_limit": "256m",
    "settle_seconds": 5,
    "drain_seconds": 5,
    "mounts": [
        {"kind": "volume", "name": "data", "path": "/data"},
        {"kind": "file", "path": "/f", "content": "x", "mode": "0444", "secret": False},
        {"kind": "tmpfs", "path": "/t", "size": "64m"},
    ],
    "ports": [{"port": 80, "published": 8080, "protocol": "udp"}],
    "strategy": "stop_first",
    "init": [["migrate"], "seed all"],
    "user": "1000:1000",
    "stop_signal": "SIGINT",
    "stop_grace_seconds": 9.5,
    "labels": {"team": "blue"},
    "cpu_reservation": 0.25,
    "memory_reservation": "64m",
    "rollout_seconds": 900,
}  # fmt: skip
DOCKERFILE = {
    "kind": "dockerfile", "file": "Dockerfile", "context": ".", "target": "prod", "args": {"A": "1"}
}  # fmt: skip
STATIC = {"kind": "static", "directory": "dist", "spa": True}
ITEMS = {"items": [{"name": "A", "value": "1", "secret": False}]}

VALID: dict[str, list[Json]] = {
    "set_egress": [{"allow": ["10.0.0.1:5432"]}],
    "setup": [
        {"token": "once", "email": "x@y.org", "password": PASSWORD, "organization": "Default"}
    ],
    "sign_in": [{"email": "ada@example.org", "password": PASSWORD}],
    "create_token": [{"name": "ci", "role": "viewer", "expires_at": "2126-01-01T00:00:00Z"}],
    "create_organization": [{"name": "Acme"}],
    "create_project": [{"name": "Other"}],
    "change_project": [{"name": "Other"}],
    "create_environment": [{"name": "Staging"}],
    "change_environment": [{"name": "Staging"}],
    "create_service": [
        {"kind": "application", "name": "api", "source": GIT, "build": DOCKERFILE, **RUNTIME},
        {
            "kind": "application",
            "name": "api",
            "source": TAG,
            "build": STATIC,
            **RUNTIME,
            "command": ["a", "b"],
        },
        {"kind": "application", "name": "api", "source": IMAGE, "memory_limit": 1 << 28},
        {"kind": "application", "name": "api", "source": COMMIT},
        {
            "kind": "application",
            "name": "api",
            "source": IMAGE,
            "memory_reservation": 1 << 28,
            "mounts": [{"kind": "tmpfs", "path": "/t", "size": 1 << 20}],
            "health_check": {"command": ["true"]},
        },
    ],
    "change_service": [
        {
            "kind": "application",
            "name": "api",
            "source": GIT,
            "build": DOCKERFILE,
            "replicas": 1,
            "workload": "main",
            **RUNTIME,
        },
        {"source": COMMIT},
        {"source": TAG, "build": STATIC, "webhook_secret": "a shared secret"},
        {"source": IMAGE, "command": ["a", "b"], "memory_limit": 1 << 28},
        {
            "memory_reservation": 1 << 28,
            "mounts": [{"kind": "tmpfs", "path": "/t", "size": 1 << 20}],
        },
        {"health_check": {"command": ["true"]}, "port": "none"},
    ],
    "set_organization_variables": [ITEMS],
    "set_project_variables": [ITEMS],
    "set_environment_variables": [ITEMS],
    "set_service_variables": [ITEMS],
    "add_domain": [
        {
            "host": "a.example.org",
            "path": "/x",
            "port": 8080,
            "workload": "main",
            "https": False,
        }
    ],
    "deploy": [{"build": True}],
}
"""Bodies that would be carried out: each field of each shape stands in one of them."""

NOT_DRIVEN = {
    "receive_push": "its body is the git servers', see test_deliveries_that_are_none",
    "sign_out": "takes nothing but the session's own cookie",
    "rebuild_projections": "takes nothing, and is in no organization",
}
"""Operation → why neither its body nor its address is driven from the description."""

KEPT_AS_IT_IS = {
    "/password", "/token", "/webhook_secret", "/command", "/command/0", "/command/1",
    "/health_check/command/0", "/build/args/A", "/items/0/value", "/mounts/1/content",
    "/init/0/0", "/init/1", "/labels/team",
}  # fmt: skip
"""Strings that may hold control characters, but no NUL."""


def test_every_operation_is_driven():
    bodies = {name for name, (_, _, operation) in WRITES.items() if "requestBody" in operation}
    assert bodies == VALID.keys()
    assert NOT_DRIVEN.keys() <= WRITES.keys()
    addressed = {name for name, (_, path, _) in WRITES.items() if "{" in path}
    assert WRITES.keys() == bodies | addressed | NOT_DRIVEN.keys()


def test_a_service_of_every_kind_is_driven():
    assert {body["kind"] for body in VALID["create_service"]} == set(get_args(NamedKind.__value__))


# -- the description ------------------------------------------------------------------------------


def resolved(schema: Json) -> Json:
    while "$ref" in schema:
        schema = DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def branches(schema: Json) -> list[Json]:
    """What a union may be."""
    schema = resolved(schema)
    inner = schema.get("anyOf") or schema.get("oneOf")
    return [leaf for one in inner for leaf in branches(one)] if inner else [schema]


KINDS: dict[str, Callable[[Json], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def fits(schema: Json, value: Json) -> bool:
    if "const" in schema:
        return value == schema["const"]
    if "enum" in schema:
        return value in schema["enum"]
    return KINDS[schema["type"]](value)


def branch_of(schema: Json, value: Json) -> Json:
    """The branch that this value is of: by its tag where it has one."""
    for branch in branches(schema):
        tags = branches(branch.get("properties", {}).get("kind", {"type": "null"}))
        if fits(branch, value) and (
            not isinstance(value, dict) or any(fits(tag, value.get("kind")) for tag in tags)
        ):
            return branch
    raise AssertionError(f"no branch for {value!r}")


def body_schema(operation: Json) -> Json:
    return operation["requestBody"]["content"]["application/json"]["schema"]


def values_of(schema: Json) -> Json | None:
    """Of an object whose fields have names of the client's choice."""
    values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return next((one for one in values if isinstance(one, dict)), None)


def schemas_in(schema: Json, where: str) -> Iterator[tuple[str, Json]]:
    for branch in branches(schema):
        yield where, branch
        for name, inner in branch.get("properties", {}).items():
            yield from schemas_in(inner, f"{where}/{name}")
        if "items" in branch:
            yield from schemas_in(branch["items"], f"{where}/0")
        if values := values_of(branch):
            yield from schemas_in(values, f"{where}/*")


def bounded(whole: Json, name: str) -> None:
    for where, schema in schemas_in(whole, name):
        match schema.get("type"):
            case "string" if not {"const", "enum"} & schema.keys():
                assert "maxLength" in schema, where
            case "array":
                assert "maxItems" in schema, where
            case "integer" | "number":
                assert {"minimum", "maximum"} <= schema.keys(), where
            case "object" if values_of(schema):
                assert "maxProperties" in schema, where
                assert "maxLength" in schema["propertyNames"], where
            case "object":
                assert schema.get("additionalProperties") is False, where
            case _:
                pass


@pytest.mark.parametrize("name", VALID)
def test_the_description_says_how_large_everything_may_be(name: str):
    bounded(body_schema(WRITES[name][2]), name)


def test_the_description_says_how_large_a_query_may_be():
    for item in DESCRIPTION["paths"].values():
        for operation in item.values():
            for given in operation.get("parameters", ()):
                if given["in"] == "query":
                    bounded(given["schema"], f"{operation['operationId']}?{given['name']}")


@pytest.mark.parametrize("name", VALID)
def test_the_valid_bodies_hold_every_field(name: str):
    def fields(schema: Json, value: Json, where: str) -> Iterator[str]:
        branch = branch_of(schema, value)
        if isinstance(value, dict) and "properties" in branch:
            for key, inner in value.items():
                yield f"{where}/{key}"
                yield from fields(branch["properties"][key], inner, f"{where}/{key}")
        elif isinstance(value, list):
            for inner in value:
                yield from fields(branch["items"], inner, f"{where}/0")

    schema = body_schema(WRITES[name][2])
    driven = {place for body in VALID[name] for place in fields(schema, body, "")}
    there = {
        f"{where}/{key}"
        for where, inner in schemas_in(schema, "")
        for key in inner.get("properties", {})
    }
    assert driven == there


# -- what is wrong --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    what: str
    body: Json
    pointer: str
    """Where the refusal has to point to, or to something around it."""


WRONG_VALUES = [None, True, 5, 1.5, "nonsense", [], {}, [5], {"nonsense": 5}]
CONTROL = {"\x00": "NUL", "\x07": "a control character", "\n": "a line end"}


def replaced(body: Json, path: tuple[Any, ...], value: Json) -> Json:
    if not path:
        return value
    copied = copy.deepcopy(body)
    node = copied
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return copied


def without(body: Json, path: tuple[Any, ...], key: str) -> Json:
    copied = copy.deepcopy(body)
    node = copied
    for part in path:
        node = node[part]
    del node[key]
    return copied


def wrongs(
    schema: Json, body: Json, value: Json, path: tuple[Any, ...] = (), *, required: bool = True
) -> Iterator[Wrong]:
    where = "".join(f"/{part}" for part in path)

    def wrong(what: str, instead: Json, at: str = where) -> Wrong:
        return Wrong(f"{where or 'the body'}: {what}", replaced(body, path, instead), at)

    if path:
        accepted = branches(schema)
        for bad in WRONG_VALUES:
            if not any(fits(branch, bad) for branch in accepted):
                yield wrong(f"{bad!r}", bad)
    branch = branch_of(schema, value)
    match value:
        case dict() if "properties" in branch:
            yield wrong("an unknown field", {**value, "nonsense": 1}, f"{where}/nonsense")
            for name in branch.get("required", ()):
                lacking = without(body, path, name)
                yield Wrong(f"{where}: without {name}", lacking, f"{where}/{name}")
            for name, inner in value.items():
                yield from wrongs(branch["properties"][name], body, inner, (*path, name))
        case dict():
            for name in ("a b", "", "x" * 101, "\x00"):
                yield wrong(f"a field {name!r}", {name: "1"}, f"{where}/{name}")
            many = {f"A{number}": "1" for number in range(branch["maxProperties"] + 1)}
            yield wrong("too many fields", many)
            for name, inner in value.items():
                yield from wrongs(values_of(branch), body, inner, (*path, name))
        case list():
            yield wrong("too many", value * (branch["maxItems"] // max(1, len(value)) + 1))
            for index, inner in enumerate(value):
                yield from wrongs(branch["items"], body, inner, (*path, index))
        case str() if not {"const", "enum"} & branch.keys():
            yield wrong("too long", "a" * (branch["maxLength"] + 1))
            for letter, name in CONTROL.items():
                if letter == "\x00" or where not in KEPT_AS_IT_IS:
                    yield wrong(name, f"{value[:1]}{letter}{value[1:]}")
        case int() | float() if not isinstance(value, bool):
            for number in (branch["minimum"] - 1, branch["maximum"] + 1, -(10**30), 10**30):
                yield wrong(f"{number}", number)
        case _:
            pass


NO_JSON = {
    "cut off": b"{",
    "empty": b"",
    "a trailing comma": b'{"name": "a",}',
    "single quotes": b"{'name': 'a'}",
    "NaN": b'{"name": NaN}',
    "infinity": b'{"name": 1e999}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "a lone surrogate as a field": b'{"\\udfff": 1}',
    "not UTF-8": b'{"name": "\xff"}',
    "deep nesting": b"[" * 100_000,
    "two documents": b'{"name": "a"} {"name": "b"}',
}
NO_OBJECT = {"a list": [], "a string": "x", "a number": 5, "a boolean": True, "null": None}


@dataclass
class World:
    """Something of everything, and the same of a stranger."""

    platform: Platform
    ids: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """Kind → a service of it: what is driven is what its settings may be."""
    foreign: dict[str, str] = field(default_factory=dict)
    cookie: str = ""

    async def quiet(self) -> int:
        """The log's end once the reactions have nothing left to say."""
        while True:
            before = await self.platform.store.last_sequence()
            await asyncio.sleep(0.02)
            if await self.platform.store.last_sequence() == before:
                return before

    def headers(self, name: str) -> dict[str, str]:
        if FEATURES.needs[name] == "person":
            return {"Cookie": self.cookie}
        return {"Authorization": f"Bearer {self.platform.token}"}

    def place(self, name: str, body: Json = None) -> str:
        id_ = self.ids.get(collection(name), "")
        if name == "change_service":
            id_ = self.kinds[(body or {}).get("kind", "application")]
        return address(name, id_)

    async def send(self, name: str, path: str, content: bytes | None) -> Any:
        headers = self.headers(name)
        if content is not None:
            headers["Content-Type"] = "application/json"
        return await self.platform.http.request(
            WRITES[name][0], path, content=content, headers=headers
        )


async def _everything(platform: Platform) -> dict[str, str]:
    service = await platform.service(source=GIT)
    path = f"/v1/services/{service['id']}"
    host = f"{uuid4().hex[:8]}.example.org"
    domain = await platform.ok("POST", f"{path}/domains", {"host": host})
    deployment = await platform.ok("POST", f"{path}/deployments", {})
    token = await platform.ok("POST", "/v1/tokens", {"name": "t", "role": "viewer"})
    return {
        "projects": service["project"],
        "environments": service["environment"],
        "services": service["id"],
        "domains": domain["id"],
        "deployments": deployment["id"],
        "tokens": token["id"],
    }


@pytest.fixture
async def world(platform: Platform) -> World:
    world = World(platform)
    own = platform.token
    platform.token = ""
    signed_in = {"email": "ada@example.org", "password": PASSWORD}
    answer = await platform.call("POST", "/v1/sessions", signed_in)
    world.cookie = answer.headers["set-cookie"].partition(";")[0]
    other = await platform.ok("POST", "/v1/organizations", {"name": "Other"})
    platform.extra = {"Slipway-Organization": other["id"]}
    world.foreign = {**await _everything(platform), "organizations": other["id"]}
    platform.http.cookies.clear()
    platform.extra = {}
    platform.token = own
    world.ids = {**await _everything(platform), "organizations": platform.organization}
    path = f"/v1/environments/{world.ids['environments']}/services"
    for body in reversed(VALID["create_service"]):
        if body["kind"] not in world.kinds:
            made = await platform.ok("POST", path, {**body, "name": f"a-{body['kind']}"})
            world.kinds[made["kind"]] = made["id"]
    await world.quiet()
    return world


def address(name: str, id_: str) -> str:
    return WRITES[name][1].replace("{id}", id_)


def collection(name: str) -> str:
    return WRITES[name][1].split("/")[2]


PYTHONIC = re.compile(
    r"Input should|should (have|match|be)|Value error|[Dd]ictionary|\bNone\b|tuple"
)
"""Words of the library that checks, not of this API."""


def told(answer: Any, *, statuses: set[int], pointer: str | None = None) -> str | None:
    """None when it is refused as it should be, else what is wrong with the refusal."""
    if answer.status_code not in statuses:
        return f"{answer.status_code} {answer.text[:300]}"
    if answer.headers["content-type"] != "application/problem+json":
        return f"it is {answer.headers['content-type']}"
    problem = answer.json()
    if not {"type", "title", "status", "detail"} <= problem.keys() or not problem["detail"]:
        return f"no problem: {problem}"
    if problem["status"] != answer.status_code or not problem["type"].startswith("/problems/"):
        return f"a wrong problem: {problem}"
    pythonic = [
        error["detail"] for error in problem.get("errors", ()) if PYTHONIC.search(str(error))
    ]
    if pythonic:
        return f"no plain words: {pythonic}"
    pointers = [error["pointer"] for error in problem.get("errors", ())]
    if pointer and not any(at and pointer.startswith(at) for at in pointers):
        return f"it points to {pointers}, not to {pointer}"
    return None


@pytest.mark.parametrize("name", VALID)
async def test_a_wrong_field_is_named_and_nothing_is_done(world: World, name: str):
    schema, end = body_schema(WRITES[name][2]), await world.quiet()
    failures, count = [], 0
    for body in VALID[name]:
        path = world.place(name, body)
        for wrong in wrongs(schema, body, body):
            count += 1
            answer = await world.send(name, path, json.dumps(wrong.body).encode())
            problem = told(answer, statuses={422}, pointer=wrong.pointer)
            if problem is not None:
                failures.append(f"{wrong.what}: {problem}")
    assert failures == []
    assert count >= 9
    assert await world.quiet() == end


@pytest.mark.parametrize("name", VALID)
async def test_what_is_no_object_is_refused(world: World, name: str):
    operation, end = WRITES[name][2], await world.quiet()
    path = world.place(name)
    optional = not operation["requestBody"].get("required", False)
    for what, content in NO_JSON.items():
        if content or not optional:
            answer = await world.send(name, path, content)
            assert told(answer, statuses={400, 422}) is None, (what, answer.text)
    for what, value in NO_OBJECT.items():
        if value is not None or not optional:
            answer = await world.send(name, path, json.dumps(value).encode())
            assert told(answer, statuses={422}) is None, (what, answer.text)
    valid = json.dumps(VALID[name][0]).encode()
    huge = valid[:-1] + b" " * (1 << 20) + b"}"
    assert told(await world.send(name, path, huge), statuses={413}) is None
    no_json = {**world.headers(name), "Content-Type": "text/plain"}
    method = WRITES[name][0]
    answer = await world.platform.http.request(method, path, content=valid, headers=no_json)
    assert told(answer, statuses={422}) is None, answer.text
    assert await world.quiet() == end


@pytest.mark.parametrize("name", [name for name in WRITES if "{id}" in WRITES[name][1]])
async def test_what_is_not_there_is_404(world: World, name: str):
    end = await world.quiet()
    body = json.dumps(VALID[name][0]).encode() if name in VALID else None
    strangers = [
        world.foreign[collection(name)], str(uuid4()), world.ids["projects"].upper()[:-1] + "0",
        "x'.>*", "evt.*.%3E", "..%2F..", "%00", "%27;--", "a" * 3000, "-1", "null", "%C3%A4",
    ]  # fmt: skip
    for id_ in strangers:
        answer = await world.send(name, address(name, id_), body)
        assert told(answer, statuses={404}) is None, (id_, answer.text)
        assert answer.json()["type"] == "/problems/not-found"
    assert await world.quiet() == end


@pytest.mark.parametrize("name", VALID)
async def test_the_valid_bodies_are_valid(world: World, name: str):
    """Without this the others would prove nothing."""
    for body in VALID[name]:
        path = world.place(name, body)
        answer = await world.send(name, path, json.dumps(body).encode())
        refused = {"setup": 409}.get(name)
        taken = answer.status_code == 409 and body is not VALID[name][0]
        assert answer.is_success or taken or answer.status_code == refused, answer.text


# -- conflicts ------------------------------------------------------------------------------------

type Conflict = Callable[[World], Awaitable[tuple[str, Json, str, str | None]]]


async def _setup(world: World) -> tuple[str, Json, str, str | None]:
    return "/v1/setup", VALID["setup"][0], "setup-closed", None


async def _environment_name(world: World) -> tuple[str, Json, str, str | None]:
    path = f"/v1/projects/{world.ids['projects']}/environments"
    return path, {"name": "production"}, "name-taken", "/name"


async def _rename_environment(world: World) -> tuple[str, Json, str, str | None]:
    path = f"/v1/projects/{world.ids['projects']}/environments"
    made = await world.platform.ok("POST", path, {"name": "Staging"})
    return f"/v1/environments/{made['id']}", {"name": "PRODUCTION"}, "name-taken", "/name"


async def _service_name(world: World) -> tuple[str, Json, str, str | None]:
    path = f"/v1/environments/{world.ids['environments']}/services"
    return path, {"kind": "application", "name": "web", "source": IMAGE}, "name-taken", "/name"


async def _rename_service(world: World) -> tuple[str, Json, str, str | None]:
    path = f"/v1/environments/{world.ids['environments']}/services"
    made = await world.platform.ok(
        "POST", path, {"kind": "application", "name": "api", "source": IMAGE}
    )
    return f"/v1/services/{made['id']}", {"name": "web"}, "name-taken", "/name"


async def _own_host(world: World) -> tuple[str, Json, str, str | None]:
    path = f"/v1/services/{world.ids['services']}/domains"
    await world.platform.ok("POST", path, {"host": "own.example.org"})
    return path, {"host": "OWN.example.org."}, "host-taken", "/path"


async def _foreign_host(world: World) -> tuple[str, Json, str, str | None]:
    taken = await world.platform.gateway.documents.get_many("host", [])
    assert taken == {}
    found = await world.platform.gateway.documents.find(
        "host", {"state.routes.service": world.foreign["services"]}, limit=1
    )
    host = found.items[0]["state"]["host"]
    path = f"/v1/services/{world.ids['services']}/domains"
    return path, {"host": host, "path": "/elsewhere"}, "host-taken", "/host"


async def _never_live(world: World, verb: str) -> tuple[str, Json, str, str | None]:
    path = f"/v1/services/{world.ids['services']}/{verb}"
    return path, None, "nothing-to-run-again", None


async def _nothing_built(world: World) -> tuple[str, Json, str, str | None]:
    path = f"/v1/services/{world.ids['services']}/deployments"
    return path, {"build": False}, "nothing-to-run-again", None


async def _no_image(world: World) -> tuple[str, Json, str, str | None]:
    path = f"/v1/deployments/{world.ids['deployments']}/rollback"
    return path, None, "nothing-to-run-again", None


async def _ended(world: World) -> tuple[str, Json, str, str | None]:
    path = f"/v1/deployments/{world.ids['deployments']}/cancel"
    await world.platform.ok("POST", path)
    await world.quiet()
    return path, None, "already-ended", None


CONFLICTS: dict[str, tuple[str, Conflict]] = {
    "setup once more": ("setup", _setup),
    "an environment's name": ("create_environment", _environment_name),
    "a new name of an environment": ("change_environment", _rename_environment),
    "a service's name": ("create_service", _service_name),
    "a new name of a service": ("change_service", _rename_service),
    "a host of one's own": ("add_domain", _own_host),
    "a host of a stranger": ("add_domain", _foreign_host),
    "a restart of what was never live": (
        "restart_service", lambda world: _never_live(world, "restart"),
    ),
    "a start of what was never live": (
        "start_service", lambda world: _never_live(world, "start"),
    ),
    "the newest image where there is none": ("deploy", _nothing_built),
    "a rollback to what never had an image": ("roll_back", _no_image),
    "a cancelled deployment": ("cancel_deployment", _ended),
}  # fmt: skip


@pytest.mark.parametrize("what", CONFLICTS)
async def test_a_conflict_is_409_and_nothing_is_done(world: World, what: str):
    name, prepare = CONFLICTS[what]
    path, body, type_, pointer = await prepare(world)
    end = await world.quiet()
    answer = await world.send(name, path, None if body is None else json.dumps(body).encode())
    assert told(answer, statuses={409}, pointer=pointer) is None, answer.text
    assert answer.json()["type"] == f"/problems/{type_}"
    assert world.foreign["organizations"] not in answer.text
    assert await world.quiet() == end


@pytest.mark.parametrize("kind", ["projects", "environments", "services"])
async def test_what_is_being_deleted_is_left_alone(world: World, kind: str):
    await world.platform.ok("DELETE", f"/v1/{kind}/{world.ids[kind]}")
    end = await world.quiet()
    inside = {
        "projects": ["projects", "environments", "services"],
        "environments": ["environments", "services"],
        "services": ["services"],
    }[kind]
    for name, (_, path, _) in WRITES.items():
        if "{id}" in path and collection(name) in inside and not name.startswith("delete_"):
            body = json.dumps(VALID[name][0]).encode() if name in VALID else None
            id_ = world.ids[collection(name)]
            answer = await world.send(name, address(name, id_), body)
            assert told(answer, statuses={409}) is None, (name, answer.text)
    assert await world.quiet() == end


# -- a version that is another by now -------------------------------------------------------------

WITHOUT_VERSION = {
    "setup": "before anything is there",
    "sign_in": "before anything is there",
    "receive_push": "git servers know no versions",
    "sign_out": "a session is shown without a version",
    "rebuild_projections": "views have no version",
    "retry_dead_letter": "refused here: nothing was given up",
    "restart_service": "refused here: it was never live",
    "start_service": "refused here: it was never live",
    "roll_back": "refused here: it never had an image",
}
"""Operation → why a wrong If-Match is not driven."""


@pytest.mark.parametrize("name", [name for name in WRITES if name not in WITHOUT_VERSION])
async def test_another_version_is_412_and_nothing_is_done(world: World, name: str):
    assert WITHOUT_VERSION.keys() <= WRITES.keys()
    end = await world.quiet()
    body = json.dumps(VALID[name][0]).encode() if name in VALID else None
    headers = {**world.headers(name), "If-Match": '"77"', "Content-Type": "application/json"}
    path = world.place(name)
    method = WRITES[name][0]
    answer = await world.platform.http.request(method, path, content=body, headers=headers)
    assert told(answer, statuses={412}) is None, answer.text
    for nonsense in ("abc", '"²"', "9" * 5000, '"1", "2"'):
        headers["If-Match"] = nonsense
        sent = [(key.encode(), value.encode("latin-1")) for key, value in headers.items()]
        answer = await world.platform.http.request(method, path, content=body, headers=sent)
        assert told(answer, statuses={422}, pointer="If-Match") is None, answer.text
    assert await world.quiet() == end


# -- everything else ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "?limit"),
        ("limit=201", "?limit"),
        ("limit=x", "?limit"),
        ("cursor=xyz", "?cursor"),
        ("cursor=MQ", "?cursor"),
        ("cursor=WyJhIiwgNV0", "?cursor"),
        ("cursor=W3siJG5lIjogMX0sICJhIl0", "?cursor"),
        ("cursor=W1sxXSwgImEiXQ", "?cursor"),
        ("cursor=%FF", "?cursor"),
        (f"cursor={'x' * 500}", "?cursor"),
    ],
)
async def test_pages_that_there_are_not(world: World, query: str, pointer: str):
    lists = [
        path
        for path, item in DESCRIPTION["paths"].items()
        if any(one["name"] == "cursor" for one in item.get("get", {}).get("parameters", ()))
    ]
    assert len(lists) >= 8
    for path in lists:
        id_ = world.ids.get(path.split("/")[2], "")
        answer = await world.platform.call("GET", f"{path.replace('{id}', id_)}?{query}")
        assert told(answer, statuses={422}, pointer=pointer) is None, (path, answer.text)


@pytest.mark.parametrize(
    ("header", "value", "statuses"),
    [
        ("Idempotency-Key", "a b", {422}),
        ("Idempotency-Key", "x" * 201, {422}),
        ("Idempotency-Key", "", {422}),
        ("Slipway-Sequence", "x", {422}),
        ("Slipway-Sequence", "-1", {422}),
        ("Slipway-Sequence", "9" * 40, {422}),
        ("Slipway-Organization", "x'.>*", {404}),
        ("Slipway-Organization", "00000000-0000-4000-8000-000000000000", {404}),
        ("Authorization", "Basic eDp5", {401}),
        ("Authorization", "Bearer", {401}),
        ("Authorization", "Bearer x'.>*", {401}),
        ("Content-Length", "x", {400, 413}),
    ],
)
async def test_wrong_headers(world: World, header: str, value: str, statuses: set[int]):
    end = await world.quiet()
    answer = await world.platform.call("POST", "/v1/projects", {"name": "A"}, **{header: value})
    assert told(answer, statuses=statuses) is None, answer.text
    assert await world.quiet() == end


async def test_deliveries_that_are_none(world: World):
    path = f"/v1/services/{world.ids['services']}"
    hook = (await world.platform.ok("GET", path))["webhook"]["url"]
    end = await world.quiet()
    github = {"X-GitHub-Event": "push"}
    push = {"ref": "refs/heads/main", "after": "a" * 40}
    for content, headers, statuses in [
        (b"{", github, {400}),
        (b"", github, {400}),
        (b'{"ref": NaN}', github, {400}),
        (b'{"ref": "\\ud800"}', github, {400}),
        (b"[" * 100_000, github, {400}),
        (b"[]", github, {422}),
        (b'{"ref": 5, "after": "x"}', github, {422}),
        (json.dumps({**push, "after": "x'.>*"}).encode(), github, {422}),
        (json.dumps({**push, "after": "a" * 10_000}).encode(), github, {422}),
        (json.dumps(push).encode(), {}, {422}),
        (b" " * (26 << 20), github, {413}),
    ]:
        answer = await world.platform.http.post(hook, content=content, headers=headers)
        assert told(answer, statuses=statuses) is None, (content[:40], answer.text)
    for token in ("guess", "x'.>*", "%00", "a" * 3000):
        answer = await world.platform.http.post(
            f"/v1/webhooks/git/{token}", content=json.dumps(push).encode(), headers=github
        )
        assert told(answer, statuses={404}) is None, answer.text
    assert await world.quiet() == end


async def test_addresses_and_methods_that_there_are_not(world: World):
    for method, path, status in [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v2/projects", 404),
        ("PUT", "/v1/projects", 405),
        ("TRACE", "/v1/projects", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/v1/clusters/1/variables", 404),
    ]:
        answer = await world.platform.call(method, path)
        assert told(answer, statuses={status}) is None, (method, path, answer.text)


def test_there_are_enough_cases():
    """Should the walk over the description ever find nothing, this would tell."""
    cases = [
        wrong
        for name, bodies in VALID.items()
        for body in bodies
        for wrong in wrongs(body_schema(WRITES[name][2]), body, body)
    ]
    assert len(cases) > 500
    kinds = {wrong.what.partition(": ")[2] for wrong in cases}
    assert {"too long", "an unknown field", "too many", "NUL", "None", "without name"} <= kinds
    assert list(itertools.islice(cases, 1))


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer", "words"),
    [
        ("GET", "/v1/projects?limit=0", None, "?limit", "has to be 1 at least"),
        ("GET", "/v1/projects?limit=201", None, "?limit", "may be 200 at most"),
        ("GET", "/v1/projects?limit=x", None, "?limit", "has to be a whole number"),
        ("POST", "/v1/projects", {"name": 5}, "/name", "has to be a text"),
        ("POST", "/v1/projects", {"name": "x" * 81}, "/name", "may have 80 characters at most"),
        ("POST", "/v1/projects", {"name": ""}, "/name", "is too short (at least 1)"),
        ("POST", "/v1/projects", {"name": "\x07"}, "/name", "may hold no control characters"),
        (
            "POST",
            "/v1/tokens",
            {"name": "a", "role": "king"},
            "/role",
            "has to be 'owner', 'admin'",
        ),
    ],
)
async def test_what_is_wrong_is_said_in_plain_words_with_its_bounds(
    platform: Platform, method: str, path: str, body: Json, pointer: str, words: str
):
    answer = await platform.call(method, path, body)
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]
