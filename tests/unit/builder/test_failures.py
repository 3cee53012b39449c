"""Failures of BuildKit in their own words, and what a person reads."""

import pytest
from builder.build import failures
from slipway.contracts.values import Failure


def step(error: str, *lines: str) -> tuple[str, str, list[str]]:
    return "[2/3] RUN npm ci", error, list(lines)


FAILED = 'process "/bin/sh -c npm ci" did not complete successfully: exit code: 1'
TOKEN = "failed to fetch anonymous token"
AT = ["Dockerfile:4", "   4 | >>> RUN npm ci"]
BUILD = {
    "a step that ends badly": (
        failures.build(step(FAILED, "npm ERR! missing"), [*AT, f"ERROR: {FAILED}"]),
        "build-step-failed",
        "line 4 of the Dockerfile: RUN npm ci ended with exit code 1",
    ),
    "a Dockerfile of another name": (
        failures.build(step(FAILED), ["deploy/Dockerfile.web:9", f"ERROR: {FAILED}"]),
        "build-step-failed",
        "line 9 of the Dockerfile",
    ),
    "a Dockerfile that can't be read": (
        failures.build(
            None,
            ["ERROR: failed to solve: dockerfile parse error on line 3: unknown instruction: RUNN"],
        ),
        "dockerfile-invalid",
        "line 3 of the Dockerfile can't be read: unknown instruction: RUNN",
    ),
    "a line that BuildKit does not take": (
        failures.build(
            None, ["ERROR: xxx: dockerfile line greater than max allowed size of 65535"]
        ),
        "dockerfile-invalid",
        "longer than 65535 bytes",
    ),
    "a base image that is not there": (
        failures.build(
            None,
            ["ERROR: failed to solve: nope:1: failed to resolve source metadata for nope:1"],
        ),
        "base-image-missing",
        "an image on which it builds can't be pulled",
    ),
    "a base image of others": (
        failures.build(step("pull access denied, repository does not exist"), []),
        "base-image-missing",
        "pull access denied",
    ),
    "a full disk, whatever else was said": (
        failures.build(step(f"{FAILED}"), ["write /x: no space left on device"]),
        "disk-full",
        "while building",
    ),
    "no engine": (
        failures.build(None, ["ERROR: Cannot connect to the Docker daemon at unix:///x."]),
        "engine-away",
        "Cannot connect",
    ),
    "an engine that went away": (
        failures.build(None, ["ERROR: error reading from server: EOF"]),
        "engine-away",
        "EOF",
    ),
    "no BuildKit to call": (
        failures.build(
            None, ["error: failed to list workers: Unavailable: connection error: desc"]
        ),
        "engine-away",
        "failed to list workers",
    ),
    "a way to BuildKit that ended": (
        failures.build(
            None,
            ["error: command [docker exec -i b buildctl dial-stdio] has exited"],
        ),
        "engine-away",
        "has exited",
    ),
    "a registry whose token is empty": (
        failures.build(step(f"{TOKEN}: unable to decode token response: EOF"), []),
        "base-image-missing",
        "unable to decode token response: EOF",
    ),
    "a token that the rules let nobody ask for": (
        failures.build(
            None,
            [f'error: {TOKEN}: Get "http://10.0.0.1:9/?scope=x": dial tcp: connection refused'],
        ),
        "base-image-missing",
        "http://10.0.0.1:9/?scope=x",
    ),
    "a token for which somebody is signed in": (
        failures.build(step('failed to fetch oauth token: Post "http://a/": EOF'), []),
        "base-image-missing",
        "oauth token",
    ),
    "a registry that breaks off": (
        failures.build(
            step("failed to copy: short read: expected 9 bytes but got 2: unexpected EOF"), []
        ),
        "base-image-missing",
        "short read",
    ),
    "an address that breaks off": (
        failures.build(step('failed to load cache key: Get "http://10.0.0.1/x": EOF'), []),
        "build-failed",
        "http://10.0.0.1/x",
    ),
    "an archive that is cut": (
        failures.build(step("failed to copy files: unpack: unexpected EOF"), []),
        "build-failed",
        "unexpected EOF",
    ),
    "an image that can't be pushed": (
        failures.build(
            step('failed to push r/o/s:d1: failed to do request: Put "http://r/": EOF'), []
        ),
        "build-failed",
        "failed to push",
    ),
    "a word with eof in it": (
        failures.build(step('failed to compute cache key: "/typeof.js": not found'), []),
        "build-failed",
        "typeof.js",
    ),
    "anything else": (
        failures.build(step("something new", "a line"), []),
        "build-failed",
        "something new",
    ),
    "nothing said": (failures.build(None, []), "build-failed", "without a word"),
}


@pytest.mark.parametrize("case", BUILD)
def test_build(case: str):
    failure, reason, words = BUILD[case]
    assert failure.reason == reason
    assert words in failure.detail
    assert failure.hint


def test_the_lines_of_the_step_are_kept():
    assert BUILD["a step that ends badly"][0].lines == ("npm ERR! missing",)
    assert BUILD["anything else"][0].lines == ("a line",)


def test_an_instruction_of_any_length_that_is_not_known():
    said = f"dockerfile parse error on line 1: unknown instruction: {'X' * 600_000}"
    failure = failures.build(None, [said])
    assert failure.reason == "dockerfile-invalid"
    assert failure.detail.startswith("line 1 of the Dockerfile can't be read: unknown instruction")
    assert len(failure.detail) < 4001


OTHERS: dict[str, tuple[Failure, str]] = {
    "dockerfile-missing": (failures.dockerfile_missing("Dockerfile", ["b", "a"]), "no Dockerfile"),
    "folder-missing": (failures.folder_missing("web"), "no folder web"),
    "image-pull-failed": (failures.image_unavailable("nope:1", "manifest unknown"), "nope:1"),
    "image-missing": (failures.image_missing("sha256:1"), "sha256:1"),
    "nothing-to-repeat": (failures.nothing_to_repeat("d0"), "deployment d0"),
    "workloads-too-large": (failures.workloads_too_large(4194305, 4194304), "4194305 bytes"),
    "build-timeout": (failures.timed_out(1800), "1800 s"),
    "internal-error": (failures.unforeseen(KeyError("x"), "d1"), "KeyError"),
    "builder-interrupted": (failures.given_up(2, "d1"), "2 times"),
    "variable-too-large": (failures.variable_too_large("A", 131_000), "131000"),
    "variables-too-large": (failures.variables_too_large(), "variables"),
    "engine-refused": (failures.engine_refused("no such driver"), "no such driver"),
    "secrets-unreadable": (failures.secrets_unreadable("KEY"), "KEY"),
    "engine-away": (failures.engine_away("connection refused"), "connection refused"),
    "disk-full": (failures.disk_full("/var/lib"), "/var/lib"),
}


@pytest.mark.parametrize("reason", OTHERS)
def test_the_others_say_what_and_what_next(reason: str):
    failure, words = OTHERS[reason]
    assert failure.reason == reason
    assert words in failure.detail
    assert failure.hint


def test_what_is_there_is_listed_in_order_and_not_endlessly():
    assert failures.dockerfile_missing("D", ["b", "a"]).hint.endswith("found there: a, b")
    assert failures.dockerfile_missing("D", []).hint.endswith("found there: nothing")
    assert "f25" not in failures.dockerfile_missing("D", [f"f{n:02}" for n in range(30)]).hint
