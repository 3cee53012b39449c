"""Failures of git and BuildKit in their own words, and what a person reads."""

import pytest
from builder.build import failures
from slipway.contracts.values import Failure

URL = "https://git.example/shop/app.git"


def refused(code: int, url: str = URL) -> str:
    return f"fatal: unable to access '{url}/': The requested URL returned error: {code}"


NO_BRANCH = (
    "warning: Could not find remote branch nope to clone.\n"
    "fatal: Remote branch nope not found in upstream origin"
)
SILENT = (
    "fatal: unable to access 'http://10.0.0.4:4040/app.git/': Failed to connect to 10.0.0.4 "
    "port 4040 after 0 ms: Couldn't connect to server"
)
GIT = {
    "no such branch": (
        NO_BRANCH,
        "git-branch-not-found",
    ),
    "a repository of others": (
        "fatal: could not read Username for 'https://git.example': terminal prompts disabled",
        "git-authentication",
    ),
    "wrong password": (f"fatal: Authentication failed for '{URL}/'", "git-authentication"),
    "forbidden": (refused(403), "git-authentication"),
    "no repository": (
        f"remote: Not Found\nfatal: repository '{URL}/' not found",
        "git-repository-not-found",
    ),
    "no git there": (
        f"fatal: '{URL}' does not appear to be a git repository",
        "git-repository-not-found",
    ),
    "gone": (refused(404), "git-repository-not-found"),
    "moved": (refused(301), "git-redirected"),
    "moved for now": (refused(302), "git-redirected"),
    "broken": (refused(500), "git-unreachable"),
    "unknown host": (
        f"fatal: unable to access '{URL}/': Could not resolve host: git.example",
        "git-unreachable",
    ),
    "nothing listens at a port like a status": (
        SILENT,
        "git-unreachable",
    ),
    "broken at a path like a status": (
        refused(500, "https://git.example/redirects-403/app.git"),
        "git-unreachable",
    ),
}


@pytest.mark.parametrize("case", GIT)
def test_git(case: str):
    output, reason = GIT[case]
    failure = failures.git(URL, "nope", output, [])
    assert failure.reason == reason
    assert URL in failure.detail
    assert failure.hint
    assert failure.lines == tuple(output.splitlines())


@pytest.mark.parametrize(
    ("there", "hint"),
    [
        (["main", "develop"], "branches there: main, develop"),
        (["main", "nope-2", "npe"], "branches there: npe, nope-2"),
        ([], "the repository has no branch"),
        ([str(n) for n in range(9)], "branches there: 0, 1, 2, 3, 4"),
    ],
)
def test_branches_that_are_there_are_offered(there: list[str], hint: str):
    assert failures.git(URL, "nope", NO_BRANCH, there).hint == hint


def step(error: str, *lines: str) -> tuple[str, str, list[str]]:
    return "[2/3] RUN npm ci", error, list(lines)


FAILED = 'process "/bin/sh -c npm ci" did not complete successfully: exit code: 1'
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


PROGRESS = """\
Cloning into '/var/lib/slipway/builder/d1/source'...
remote: Enumerating objects: 3, done.        \r
remote: Counting objects:  33% (1/3)        \rremote: Counting objects: 100% (3/3), done.
remote: Total 3 (delta 0), reused 0 (delta 0), pack-reused 0
Receiving objects:  66% (2/3), 1.2 MiB | 3.00 MiB/s\rReceiving objects: 100% (3/3), done.
"""


def test_how_far_git_came_is_no_reason():
    failure = failures.git(URL, "main", f"{PROGRESS}{refused(500)}", [])
    assert failure.lines[-1] == refused(500)
    assert "objects" not in "".join(failure.lines)


def test_an_instruction_of_any_length_that_is_not_known():
    said = f"dockerfile parse error on line 1: unknown instruction: {'X' * 600_000}"
    failure = failures.build(None, [said])
    assert failure.reason == "dockerfile-invalid"
    assert failure.detail.startswith("line 1 of the Dockerfile can't be read: unknown instruction")
    assert len(failure.detail) < 4001


OTHERS: dict[str, tuple[Failure, str]] = {
    "git-address-refused": (failures.address_refused(URL, "the address is private"), "private"),
    "dockerfile-missing": (failures.dockerfile_missing("Dockerfile", ["b", "a"]), "no Dockerfile"),
    "folder-missing": (failures.folder_missing("web"), "no folder web"),
    "image-pull-failed": (failures.image_unavailable("nope:1", "manifest unknown"), "nope:1"),
    "image-missing": (failures.image_missing("sha256:1"), "sha256:1"),
    "nothing-to-repeat": (failures.nothing_to_repeat("d0"), "deployment d0"),
    "workloads-too-large": (failures.workloads_too_large(4194305, 4194304), "4194305 bytes"),
    "build-timeout": (failures.timed_out(1800), "1800 s"),
    "git-silent": (failures.git_silent(URL, 60), "60 s"),
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
