"""Why a repository could not be cloned, in words for whoever has to mend it. Pure."""

import difflib
import re
from collections.abc import Sequence

from slipway.contracts.values import Failure

from builder.build.failures import disk_full
from builder.cloning.order import Limits, NotCloned, Order

_HTTP = re.compile(r"returned error: (\d{3})\b")
_PROGRESS = re.compile(r"(remote: )?[A-Z][\w ]+: +\d+(% \(|,|$)|Cloning into ")
"""What git prints while it works."""
_ABSENT = re.compile(r"remote branch .* not found|couldn't find remote ref")
_NOT_OUR_REF = re.compile(r"not our ref|unable to read tree|reference is not a tree|bad object")
_REACHES = (
    "check that the address is right and its server works; builds reach public addresses, and of "
    "private ones those that the operator allows (GET /v1/admin/egress)"
)


def not_cloned(order: Order, why: NotCloned, memory: int) -> Failure:
    """`memory`: bytes that clones of the organization may take together."""
    url, limits = order.url, order.limits
    match why.why:
        case "git":
            return git(order, why.output, why.there)
        case "submodules":
            return _submodules(url, why.output)
        case "silent":
            return git_silent(url, limits.silence)
        case "slow":
            return _too_slow(url, limits)
        case "size" | "files" | "path":
            return _too_large(url, why.why, limits)
        case "memory":
            return Failure(
                reason="git-memory-limit",
                detail=f"cloning {url} took more than the {memory >> 20} MiB of memory that clones "
                "of this organization may have together",
                hint="make the repository smaller, for example by keeping large files in LFS",
            )
        case "disk":
            return disk_full("while cloning")
        case "guard":
            return Failure(
                reason="build-place-away",
                detail="the rules that say what builds may reach do not stand on this machine",
                hint="look whether the guard service runs, then deploy again",
            )
        case _:
            return Failure(
                reason="git-ended",
                detail=f"cloning {url} ended before its end, twice, without a reason",
                hint="deploy again; if it fails again, look at the log of the builder service and "
                "at docker ps --all on the server",
                lines=_spoken(why.output),
            )


def process_limit(url: str, taken: int, limit: int) -> Failure:
    return Failure(
        reason="git-process-limit",
        detail=f"cloning {url} was ended: clones of this organization took {taken} of the {limit} "
        "processes and threads that they may have together, and went on beginning more",
        hint="deploy again while less of this organization is cloned; if it fails again, the "
        "repository or a submodule has what git or git-lfs begins so many for",
    )


def git(order: Order, output: str, there: Sequence[str]) -> Failure:
    """`there` are the branches or tags that exist, empty when they can't be listed."""
    url = order.url
    lines = _spoken(output)
    low = "\n".join(lines).lower()
    status = int((_HTTP.search(low) or ("", "0"))[1])
    if "does not have any commits yet" in low:
        return Failure(
            reason="git-commit-not-found",
            detail=f"{url} has no commit on its default branch",
            hint="push a commit, or name a branch that has one, then deploy again",
        )
    if _ABSENT.search(low) or (order.commit and _NOT_OUR_REF.search(low)):
        return _not_there(order, there, lines)
    if "authentication failed" in low or "could not read username" in low or status in (401, 403):
        return Failure(
            reason="git-authentication",
            detail=f"{url} asks for a sign-in",
            hint="only public repositories can be cloned; check the address",
            lines=lines,
        )
    if "filter lfs failed" in low or "git-lfs" in low:
        return Failure(
            reason="git-lfs-failed",
            detail=f"files of {url} that are kept in LFS could not be fetched",
            hint="check that the server has them (git lfs push --all) and can be reached",
            lines=lines,
        )
    if "not found" in low or "does not appear to be a git repository" in low or status == 404:
        return Failure(
            reason="git-repository-not-found",
            detail=f"there is no git repository at {url}",
            hint="check the address of the source",
            lines=lines,
        )
    if 300 <= status < 400 or "maximum (20) redirects" in low or "not supported or disabled" in low:
        return Failure(
            reason="git-redirected",
            detail=f"{url} redirects to where it can't be followed",
            hint="use the address that it redirects to in the end",
            lines=lines,
        )
    if "operation too slow" in low:
        return _too_slow(url, order.limits, lines)
    if "file name too long" in low:
        return _too_large(url, "path", order.limits, lines)
    if "unable to checkout" in low:
        return Failure(
            reason="git-invalid",
            detail=f"{url} holds files that can't be checked out; the last lines say which",
            hint="push a commit without them",
            lines=lines,
        )
    return Failure(
        reason="git-unreachable", detail=f"{url} could not be cloned", hint=_REACHES, lines=lines
    )


def _not_there(order: Order, there: Sequence[str], lines: tuple[str, ...]) -> Failure:
    if order.commit is not None:
        return Failure(
            reason="git-commit-not-found",
            detail=f"{order.url} has no commit {order.commit}",
            hint="check the commit, and that a branch or a tag leads to it",
            lines=lines,
        )
    if order.tag is not None:
        return Failure(
            reason="git-tag-not-found",
            detail=f"{order.url} has no tag {order.tag}",
            hint=_near(order.tag, there, "tags") or "the repository has no tag",
            lines=lines,
        )
    return Failure(
        reason="git-branch-not-found",
        detail=f"{order.url} has no branch {order.branch}",
        hint=_near(order.branch or "", there, "branches") or "the repository has no branch",
        lines=lines,
    )


def _near(name: str, there: Sequence[str], kinds: str) -> str:
    near = difflib.get_close_matches(name, there, 3, 0.4) or list(there[:5])
    return f"{kinds} there: {', '.join(near)}" if near else ""


def _submodules(url: str, output: str) -> Failure:
    return Failure(
        reason="git-submodule-failed",
        detail=f"a submodule of {url} could not be cloned; the last lines say which and why",
        hint="check its address in .gitmodules: it has to be an http or https address, or a "
        f"relative one, of a public repository. {_REACHES[0].upper()}{_REACHES[1:]}",
        lines=_spoken(output),
    )


def _spoken(output: str) -> tuple[str, ...]:
    rows = output.splitlines()
    return tuple([row for row in rows if row.strip() and not _PROGRESS.match(row)][-10:])


def git_silent(url: str, seconds: float) -> Failure:
    return Failure(
        reason="git-silent",
        detail=f"{url} sent nothing for {seconds:.0f} s, so cloning it was ended",
        hint="check that this git server works and can be reached from here, then deploy again",
    )


def _too_slow(url: str, limits: Limits, lines: tuple[str, ...] = ()) -> Failure:
    return Failure(
        reason="git-too-slow",
        detail=f"{url} was not cloned within {limits.seconds:.0f} s, or sent less than "
        f"{limits.speed} bytes a second for {limits.silence:.0f} s",
        hint="check that this git server works, or make the repository smaller",
        lines=lines,
    )


def _too_large(url: str, what: str, limits: Limits, lines: tuple[str, ...] = ()) -> Failure:
    most = {
        "size": f"more than {limits.size >> 20} MiB with its history",
        "files": f"more than {limits.files} files and folders",
        "path": f"a file whose path is longer than {limits.path} bytes, or has more than "
        f"{limits.depth} folders",
    }[what]
    return Failure(
        reason="git-too-large",
        detail=f"{url} has {most}, so cloning it was ended",
        hint="keep what is built in a repository of its own, and large files elsewhere",
        lines=lines,
    )


def address_refused(url: str, why: str) -> Failure:
    return Failure(
        reason="git-address-refused",
        detail=f"{url} is not cloned: {why}",
        hint="use an http or https address without a user and a password",
    )
