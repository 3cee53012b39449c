"""How git is called to clone. Pure."""

from collections.abc import Mapping

from builder.cloning.order import Limits, Order


def environment(folder: str) -> dict[str, str]:
    """All of it: git asks nobody, and speaks HTTP alone, whatever a repository names as the place
    of a submodule."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": folder,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": f"{folder}/gitconfig",
        "GIT_ALLOW_PROTOCOL": "http:https",
        "GIT_TERMINAL_PROMPT": "0",
    }


def configuration(limits: Limits) -> str:
    """Redirects are followed: what may be reached is said by the rules of the guard, at each hop.
    Files of LFS are fetched as they are checked out, or that fails."""
    sections: Mapping[str, Mapping[str, object]] = {
        "http": {
            "followRedirects": "initial",
            "lowSpeedLimit": limits.speed,
            "lowSpeedTime": f"{1.5 * limits.silence:.0f}",  # who says nothing is ended before
        },
        "core": {"hooksPath": "/dev/null", "bigFileThreshold": "16m"},
        "fetch": {"unpackLimit": 1},
        "pack": {"threads": 1},
        "gc": {"auto": 0},
        "maintenance": {"auto": "false"},
        "advice": {"detachedHead": "false"},
        "init": {"defaultBranch": "main"},
        "submodule": {"fetchJobs": 2},
        'filter "lfs"': {
            "process": "git-lfs filter-process",
            "smudge": "git-lfs smudge -- %f",
            "clean": "git-lfs clean -- %f",
            "required": "true",
        },
        "lfs": {
            "activitytimeout": f"{limits.silence:.0f}",
            "dialtimeout": 30,
            "concurrenttransfers": 4,
            "locksverify": "false",
        },
    }
    return "".join(
        f"[{section}]\n" + "".join(f"\t{name} = {value}\n" for name, value in values.items())
        for section, values in sections.items()
    )


def clone(order: Order, folder: str, *, shallow: bool) -> list[list[str]]:
    """Argument lists, one after another. It tells its progress, so that silence means something.
    `shallow`: servers that only give out files can't."""
    depth = ["--depth", "1"] if shallow else []
    if order.tag is None and order.commit is None:
        tags = [] if order.history else ["--no-tags", "--single-branch"]
        branch = [] if order.branch is None else [f"--branch={order.branch}"]
        return [["git", "clone", "--progress", *depth, *tags, *branch, "--", order.url, folder]]
    wanted = order.commit or f"refs/tags/{order.tag}"
    local = ["git", "-C", folder]
    if order.history or not shallow:
        # A commit can't be asked for by its name everywhere: it comes with what leads to it.
        refs = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        checked_out = order.commit or f"refs/tags/{order.tag}"
    else:
        refs, checked_out = [wanted], "FETCH_HEAD"
    return [
        ["git", "init", "--quiet", "--", folder],
        [*local, "remote", "add", "--", "origin", order.url],
        [*local, "fetch", "--progress", *depth, "--no-tags", "--", "origin", *refs],
        [*local, "checkout", "--progress", "--detach", checked_out],
    ]


def submodules(folder: str, *, shallow: bool) -> list[str]:
    """All of them, and theirs."""
    depth = ["--depth", "1"] if shallow else []
    update = ["submodule", "update", "--init", "--recursive", "--progress"]
    return ["git", "-C", folder, *update, *depth]


def names(order: Order) -> list[str]:
    """Of the branches that are there, or of the tags."""
    kind = "--heads" if order.tag is None else "--tags"
    return ["git", "ls-remote", kind, "--", order.url]


def commit(folder: str) -> list[str]:
    return ["git", "-C", folder, "log", "-1", "--format=%H%x00%an%x00%s"]


def branch(folder: str) -> list[str]:
    return ["git", "-C", folder, "symbolic-ref", "--short", "-q", "HEAD"]
