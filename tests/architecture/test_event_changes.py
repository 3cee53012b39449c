"""Each way in which the shape of an event may change, planted: what breaks stored data or its
readers is refused by name, what doesn't is let through."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.event_shapes import changes, document

type Schema = dict[str, Any]
type Plant = Callable[[Schema, Schema], object]
"""Changes events and values in place."""

SHAPES = (Path(__file__).parents[1] / "golden/event_shapes.json").read_text()
"""A few events as they once were: today's may change without a change of what is planted here."""

BUILD_FAILED = "build.failed"
SETTINGS = "deployment.requested.specification.settings"
RETRIES = ("HealthCheck", "retries")


def field(values: Schema, path: tuple[str, str]) -> Schema:
    return values[path[0]]["properties"][path[1]]


def arms(values: Schema, union: str) -> Schema:
    return values[union]


def without_arm(union: Schema, tag: str) -> None:
    ref = union["discriminator"]["mapping"].pop(tag)
    union["oneOf"].remove({"$ref": ref})


REFUSED: dict[str, tuple[Plant, str]] = {
    "an event is gone": (
        lambda events, _: events.pop("token.revoked"),
        "token.revoked: is gone; what is stored must stay readable",
    ),
    "a version is counted down": (
        lambda events, _: events["token.revoked"].update(v=0),
        "token.revoked: v1 became v0",
    ),
    "a field is gone": (
        lambda events, _: events[BUILD_FAILED]["properties"].pop("steps"),
        "build.failed.steps: is gone",
    ),
    "a field of a value is gone": (
        lambda _, values: values["Failure"]["properties"].pop("hint"),
        "build.failed.failure.hint: is gone",
    ),
    "a field is renamed": (
        lambda _, values: values["Failure"]["properties"].update(
            cause=values["Failure"]["properties"].pop("reason")
        ),
        "build.failed.failure.reason: is gone",
    ),
    "a new field is required": (
        lambda events, _: (
            events[BUILD_FAILED]["properties"].update(why={"type": "string"}),
            events[BUILD_FAILED]["required"].append("why"),
        ),
        "build.failed.why: is required now; what is stored may lack it",
    ),
    "a field becomes required": (
        lambda _, values: values["Failure"]["required"].append("hint"),
        "build.failed.failure.hint: is required now; what is stored may lack it",
    ),
    "a field is no longer required": (
        lambda _, values: values["Failure"]["required"].remove("detail"),
        "build.failed.failure.detail: is no longer required; older readers need it",
    ),
    "a field has another type": (
        lambda _, values: field(values, ("Failure", "detail")).update(type="integer"),
        'build.failed.failure.detail: type "string" became "integer"',
    ),
    "items have another type": (
        lambda _, values: field(values, ("BuiltImage", "ports"))["items"].update(type="string"),
        'build.succeeded.image.ports[]: type "integer" became "string"',
    ),
    "a dictionary's values have another type": (
        lambda _, values: field(values, ("DockerfileBuild", "args"))["additionalProperties"].update(
            type="integer"
        ),
        f'{SETTINGS}.build<dockerfile>.args[]: type "string" became "integer"',
    ),
    "a literal is gone": (
        lambda events, _: events["deployment.stop_requested"]["properties"]["reason"][
            "enum"
        ].remove("expired"),
        "deployment.stop_requested.reason: 'expired' is gone",
    ),
    "a literal of a value is gone": (
        lambda _, values: field(values, ("Trigger", "kind"))["enum"].remove("webhook"),
        "deployment.requested.trigger.kind: 'webhook' is gone",
    ),
    "an only literal is another": (
        lambda _, values: field(values, ("GitSource", "kind")).update(const="repository"),
        f"{SETTINGS}.source<git>.kind: 'git' is gone",
    ),
    "an alternative is gone": (
        lambda _, values: without_arm(arms(values, "Source"), "image"),
        f"{SETTINGS}.source: the alternative 'image' is gone",
    ),
    "an alternative has another shape": (
        lambda _, values: values["ImageSource"]["properties"].pop("image"),
        f"{SETTINGS}.source<image>.image: is gone",
    ),
    "alternatives are told apart otherwise": (
        lambda _, values: arms(values, "Source")["discriminator"].update(propertyName="type"),
        f'{SETTINGS}.source: by "kind" became "type"',
    ),
    "a union of one kind of value only": (
        lambda _, values: values.update(Source=copy.deepcopy(values["GitSource"])),
        f"{SETTINGS}.source: the alternative 'image' is gone",
    ),
    "an optional value is no longer so": (
        lambda _, values: field(values, ("Variable", "value"))["anyOf"].pop(),
        "project.variables_set.items[].value: anyOf ",
    ),
    "a value becomes optional": (
        lambda _, values: values["Failure"]["properties"].update(
            detail={"anyOf": [{"type": "string"}, {"type": "null"}]}
        ),
        'build.failed.failure.detail: type "string" became nothing',
    ),
    "a union without discriminator has a new arm": (
        lambda _, values: field(values, ("Variable", "value"))["anyOf"].append({"type": "integer"}),
        "project.variables_set.items[].value: anyOf ",
    ),
    "a default is another": (
        lambda _, values: field(values, RETRIES).update(default=5),
        f"{SETTINGS}.runtime.health_check.retries: default 3 became 5",
    ),
    "a default is gone": (
        lambda _, values: field(values, RETRIES).pop("default"),
        f"{SETTINGS}.runtime.health_check.retries: default 3 became nothing",
    ),
    "a bound is new": (
        lambda _, values: field(values, RETRIES).update(maximum=10),
        f"{SETTINGS}.runtime.health_check.retries: maximum nothing became 10",
    ),
    "a largest length is another": (
        lambda _, values: field(values, ("Specification", "name")).update(maxLength=63),
        "deployment.requested.specification.name: maxLength nothing became 63",
    ),
    "a format is new": (
        lambda _, values: field(values, ("Step", "started")).update(format="date-time"),
        'build.failed.steps[].started: format nothing became "date-time"',
    ),
    "unknown fields are kept": (
        lambda _, values: values["Failure"].update(additionalProperties=True),
        "build.failed.failure: additionalProperties false became true",
    ),
    "a public field is kept back": (
        lambda events, _: events[BUILD_FAILED]["public"].remove("failure"),
        "build.failed.failure: is no longer public; subscribers may read it",
    ),
}

OPTIONAL = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
ALLOWED: dict[str, tuple[Plant, str]] = {
    "a new event": (
        lambda events, _: events.update({"token.used": copy.deepcopy(events["token.revoked"])}),
        "token.used: a new event",
    ),
    "a new version": (
        lambda events, _: events[BUILD_FAILED].update(v=2, properties={}),
        "build.failed: v1 became v2",
    ),
    "an optional field": (
        lambda events, _: events["token.revoked"]["properties"].update(why=OPTIONAL),
        "token.revoked.why: a new field",
    ),
    "an optional field of a value": (
        lambda _, values: values["HealthCheck"]["properties"].update(host=OPTIONAL),
        f"{SETTINGS}.runtime.health_check.host: a new field",
    ),
    "an optional field of a value that is a default": (
        lambda _, values: (
            values["Runtime"]["properties"].update(user=OPTIONAL),
            field(values, ("Settings", "runtime"))["default"].update(user=None),
        ),
        f"{SETTINGS}.runtime.user: a new field",
    ),
    "a second kind of what had one": (
        lambda _, values: (
            values.update(Cron=copy.deepcopy(values["Settings"])),
            field(values, ("Cron", "kind")).update(const="cron", default="cron"),
            values["Specification"]["properties"].update(
                settings={
                    "discriminator": {
                        "propertyName": "kind",
                        "mapping": {
                            "application": "#/$defs/Settings",
                            "cron": "#/$defs/Cron",
                        },
                    },
                    "oneOf": [{"$ref": "#/$defs/Settings"}, {"$ref": "#/$defs/Cron"}],
                }
            ),
        ),
        f"{SETTINGS}: the alternative 'cron' is new",
    ),
    "a public field": (
        lambda events, _: events[BUILD_FAILED]["public"].append("environment"),
        "build.failed.environment: is public now",
    ),
    "a literal": (
        lambda _, values: field(values, ("Trigger", "kind"))["enum"].append("schedule"),
        "deployment.requested.trigger.kind: 'schedule' is new",
    ),
    "an alternative": (
        lambda _, values: (
            arms(values, "Source")["oneOf"].append({"$ref": "#/$defs/UploadSource"}),
            arms(values, "Source")["discriminator"]["mapping"].update(
                upload="#/$defs/UploadSource"
            ),
            values.update(UploadSource=copy.deepcopy(values["ImageSource"])),
        ),
        f"{SETTINGS}.source: the alternative 'upload' is new",
    ),
}


def planted(plant: Plant) -> list[Any]:
    old, new = json.loads(SHAPES), json.loads(SHAPES)
    plant(new["events"], new["$defs"])
    assert old != new, "nothing was planted"
    return list(changes(old, new))


@pytest.mark.parametrize("what", REFUSED)
def test_a_breach_is_found_by_name(what: str):
    plant, sentence = REFUSED[what]
    refused = [str(change) for change in planted(plant) if not change.allowed]
    assert any(found.startswith(sentence) for found in refused), refused


@pytest.mark.parametrize("what", ALLOWED)
def test_what_harms_nobody_is_allowed(what: str):
    plant, sentence = ALLOWED[what]
    found = planted(plant)
    assert sentence in map(str, found)
    assert all(change.allowed for change in found), found


def test_a_value_by_another_name_is_the_same_shape():
    old = document()
    new = json.loads(json.dumps(old).replace("#/$defs/Failure", "#/$defs/Fault"))
    new["$defs"]["Fault"] = new["$defs"].pop("Failure")
    assert list(changes(old, new)) == []
