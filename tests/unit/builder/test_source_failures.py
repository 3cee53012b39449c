"""Why a repository was not cloned: in git's own words, and what a person reads."""

from typing import Any

import pytest
from builder.cloning.order import Limits, NotCloned, Order
from builder.sources import failures

URL = "https://git.example/shop/app.git"
ORDER = Order(URL, branch="nope")


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


GIT |= {
    "round and round": (
        f"fatal: unable to access '{URL}/': Maximum (20) redirects followed",
        "git-redirected",
    ),
    "to another protocol": (
        f"fatal: unable to access '{URL}/': Protocol \"file\" not supported or disabled in libcurl",
        "git-redirected",
    ),
    "next to nothing": (
        "error: RPC failed; curl 28 Operation too slow. Less than 20 bytes/sec transferred",
        "git-too-slow",
    ),
    "LFS without its files": (
        "error: external filter 'git-lfs filter-process' failed\n"  # noqa: ISC004
        "fatal: a.bin: smudge filter lfs failed",
        "git-lfs-failed",
    ),
    "paths that lead elsewhere": (
        "error: invalid path '../file'\nfatal: unable to checkout working tree",
        "git-invalid",
    ),
    "a name that no disk takes": (
        "error: unable to create file xxx: File name too long",
        "git-too-large",
    ),
}


@pytest.mark.parametrize("case", GIT)
def test_git(case: str):
    output, reason = GIT[case]
    failure = failures.git(ORDER, output, [])
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
    assert failures.git(ORDER, NO_BRANCH, there).hint == hint


PROGRESS = """\
Cloning into '/var/lib/slipway/builder/d1/source'...
remote: Enumerating objects: 3, done.        \r
remote: Counting objects:  33% (1/3)        \rremote: Counting objects: 100% (3/3), done.
remote: Total 3 (delta 0), reused 0 (delta 0), pack-reused 0
Receiving objects:  66% (2/3), 1.2 MiB | 3.00 MiB/s\rReceiving objects: 100% (3/3), done.
"""


def test_how_far_git_came_is_no_reason():
    failure = failures.git(ORDER, f"{PROGRESS}{refused(500)}", [])
    assert failure.lines[-1] == refused(500)
    assert "objects" not in "".join(failure.lines)


@pytest.mark.parametrize(
    ("order", "output", "reason", "words"),
    [
        (
            {"tag": "v9"},
            "fatal: couldn't find remote ref refs/tags/v9",
            "git-tag-not-found",
            ("no tag v9", "tags there: v8"),
        ),
        (
            {"commit": "2" * 40},
            f"fatal: remote error: upload-pack: not our ref {'2' * 40}",
            "git-commit-not-found",
            ("2" * 40, "leads to it"),
        ),
        (
            {"commit": "2" * 40},
            f"fatal: unable to read tree ({'2' * 40})",
            "git-commit-not-found",
            ("2" * 40,),
        ),
    ],
)
def test_what_is_not_there(order: Any, output: str, reason: str, words: tuple[str, ...]):
    failure = failures.git(Order(URL, **order), output, ["v8"])
    assert failure.reason == reason
    said = f"{failure.detail} {failure.hint}"
    assert [word for word in words if word not in said] == []


OTHERS = {
    "git": ("git-unreachable", "public addresses"),
    "submodules": ("git-submodule-failed", ".gitmodules"),
    "silent": ("git-silent", "60 s"),
    "slow": ("git-too-slow", "900 s"),
    "size": ("git-too-large", "4096 MiB"),
    "files": ("git-too-large", "500000 files"),
    "path": ("git-too-large", "2000 bytes"),
    "memory": ("git-memory-limit", "1024 MiB"),
    "disk": ("disk-full", "while cloning"),
    "guard": ("build-place-away", "guard"),
    "ended": ("git-ended", "before its end"),
    "anything that a liar says": ("git-ended", "before its end"),
}


@pytest.mark.parametrize("why", OTHERS)
def test_the_others_say_what_and_what_next(why: str):
    reason, words = OTHERS[why]
    failure = failures.not_cloned(ORDER, NotCloned(why, "its words"), 1 << 30)
    assert failure.reason == reason
    assert words in f"{failure.detail} {failure.hint}"
    assert failure.hint
    assert why in ("disk", "guard") or URL in failure.detail


def test_the_limits_are_those_of_the_order():
    order = Order(URL, limits=Limits(size=1 << 20))
    assert "1 MiB" in failures.not_cloned(order, NotCloned("size"), 0).detail


def test_what_is_refused_open_closed_or_absent_sounds_alike():
    """The guard refuses alike; nothing is added that would tell."""
    words = "fatal: unable to access '{0}/': Failed to connect to {1} port 80 after 0 ms: Couldn't"
    found = [
        failures.git(Order(f"http://{host}/a.git"), words.format(URL, host), [])
        for host in ("10.0.0.1", "10.0.0.2")
    ]
    assert len({(each.reason, each.hint) for each in found}) == 1


def test_an_address_that_is_refused_says_why():
    failure = failures.address_refused(URL, "it holds credentials")
    assert (failure.reason, "it holds credentials" in failure.detail) == (
        "git-address-refused",
        True,
    )
