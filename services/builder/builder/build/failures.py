"""Why a build failed, in words for whoever has to mend it. Pure."""

import re
from collections.abc import Sequence

from slipway.contracts.clipping import clipped
from slipway.contracts.values import Failure


class BuildError(Exception):
    """Why there is no image."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


_EXIT = re.compile(r"exit code: (\d+)")
_LINE = re.compile(r"^[^\s:]{0,300}?Dockerfile[^\s:]{0,300}:(\d+)", re.MULTILINE)
_PARSE = re.compile(r"dockerfile parse error on line (\d+): (.*)", re.IGNORECASE)
_LINE_TOO_LONG = re.compile(r"line greater than max allowed size of (\d+)")
_CUT_OFF = re.compile(
    r"cannot connect to the docker daemon|buildctl dial-stdio\]"
    r"|connection error: desc|error reading from server|transport is closing",
    re.IGNORECASE,
)
"""How buildctl says that it lost its BuildKit, or never had it. An `EOF` alone says nothing: a
registry that breaks off, or gives an empty token, and an archive that is cut are told so too."""
_NO_PROCESS = re.compile(
    "resource temporarily unavailable|can't start new thread|cannot fork|fork failed"
    "|pthread_create failed|unable to create (new )?native thread",
    re.IGNORECASE,
)
_PULL = (
    "failed to resolve source metadata", "pull access denied", "manifest unknown",
    "not found: manifest", "failed to do request", "failed to authorize",
    "failed to fetch anonymous token", "failed to fetch oauth token", "short read: expected",
)  # fmt: skip


_MORE = "or ask the operator for more (PUT /v1/admin/organizations/{id}/limits)"


def disk_full(where: str) -> Failure:
    return Failure(
        reason="disk-full",
        detail=f"no space is left on the disk of the engine ({where})",
        hint="free space on the server (docker system df shows what takes it), then deploy again",
    )


def little_free(disk: str, percent: float, needed: float, enough: int) -> str:
    """`enough`: bytes."""
    return (
        f"the engine's disk ({disk}) has {percent:.1f} % free, and new builds and images need"
        f" {needed:g} % or {enough / 2**30:g} GiB"
    )


def disk_low(disk: str, percent: float, needed: float, enough: int) -> Failure:
    return Failure(
        reason="disk-full",
        detail=little_free(disk, percent, needed, enough),
        hint="free space on the server (docker system df shows what takes it), then deploy again",
    )


_LESS = "let the build write less, and remove what it needs no more in the step that made it, "


def disk_limit(taken: int, limit: int) -> Failure:
    return Failure(
        reason="build-disk-limit",
        detail=f"the builds of this organization and their cache took {taken >> 20} MiB of disk; "
        f"together they may have {limit >> 20} MiB",
        hint=_LESS + _MORE,
    )


def disk_limit_left(taken: int, limit: int, container: str) -> Failure:
    """Before this build wrote much."""
    return Failure(
        reason="build-disk-limit",
        detail=f"what was left by earlier builds of this organization, and is written by others "
        f"that run, takes {taken >> 20} MiB of disk, with all removed that could be; together they "
        f"may have {limit >> 20} MiB",
        hint="deploy again once its other builds have ended; if it fails again, ask the operator "
        f"to remove it (docker rm -f {container}; docker volume rm {container}) {_MORE}",
    )


def disk_limit_estimated(gone: int, limit: int) -> Failure:
    """What the builds took could not be counted."""
    return Failure(
        reason="build-disk-limit",
        detail=f"the engine's disk has {gone >> 20} MiB less than when this build began; how much "
        "of it its organization's builds took could not be counted in time, and together they may "
        f"have {limit >> 20} MiB",
        hint=f"deploy again if something else wrote so much; else {_LESS}{_MORE}",
    )


def engine_away(detail: str) -> Failure:
    return Failure(
        reason="engine-away",
        detail=f"the container engine does not answer: {detail}",
        hint="look whether the engine runs on the server, then deploy again",
    )


def engine_refused(words: str) -> Failure:
    return Failure(
        reason="engine-refused",
        detail=f"the container engine could not do what was asked for: {words.strip()[-300:]}",
        hint="deploy again; if it fails again, look at the engine's own log on the server",
    )


def not_ready(words: str) -> Failure:
    return Failure(
        reason="build-place-away",
        detail=f"what builds need could not be started: {words.strip()[-300:]}",
        hint="deploy again; if it fails again, look at the log of the builder service and at "
        "docker ps --all on the server",
    )


def ended(what: str, times: int) -> Failure:
    return Failure(
        reason="build-place-ended",
        detail=f"the {what} ended in the middle of the build, {times} times",
        hint="deploy again; if it fails again, look at its container's log on the server",
    )


def out_of_memory(failure: Failure, limit: int) -> Failure:
    """`failure`: as it would be without knowing; `limit`: bytes."""
    return Failure(
        reason="build-memory-limit",
        detail=f"the builds of this organization took more than the {limit >> 20} MiB of memory "
        f"that they may have together: {failure.detail}",
        hint=f"let the build use less memory, for example fewer processes at once, {_MORE}",
        lines=failure.lines,
    )


def process_limit(taken: int, limit: int) -> Failure:
    """They were ended."""
    return Failure(
        reason="build-process-limit",
        detail=f"the build was ended: the builds of this organization took {taken} of the {limit} "
        "processes and threads that they may have together, and went on beginning more",
        hint=f"let the build begin fewer at once, for example make --jobs 4, {_MORE}",
    )


def with_process_limit(failure: Failure, processes: int) -> Failure:
    """The same, or the limit of processes by its name: the kernel tells whoever wants one more, and
    nobody else."""
    if failure.reason != "build-step-failed" or not _NO_PROCESS.search("\n".join(failure.lines)):
        return failure
    return Failure(
        reason="build-process-limit",
        detail="a step could not begin another process or thread; the builds of this organization "
        f"may have {processes} together: {failure.detail}",
        hint=f"let the build begin fewer at once, for example make --jobs 4, {_MORE}",
        lines=failure.lines,
    )


def timed_out(seconds: float) -> Failure:
    return Failure(
        reason="build-timeout",
        detail=f"the build was stopped: it ran longer than {seconds:.0f} s",
        hint="look at the log for the step that took long; a cache mount often helps. "
        "The operator may set more: PUT /v1/admin/organizations/{id}/limits",
    )


def waited_too_long() -> Failure:
    return Failure(
        reason="build-timeout",
        detail="the build was stopped: it waited so long for the registry that its time was over;"
        " it stands still for half an hour at most",
        hint="deploy again. Where it waits again, the log of the builder says why the registry"
        " takes no image",
    )


def unforeseen(error: Exception, deployment: str) -> Failure:
    """Its text is for the builder's own log: it may hold anything."""
    return Failure(
        reason="internal-error",
        detail=f"the builder failed with an error that it does not know: {type(error).__name__}",
        hint=f"deploy again; if it fails again, look for {deployment} in the log of the builder "
        "service, and report what stands there",
    )


def given_up(attempts: int, deployment: str) -> Failure:
    return Failure(
        reason="builder-interrupted",
        detail=f"this build was begun {attempts} times, and each time the builder ended before it",
        hint=f"look for {deployment} in the log of the builder service: a build that needs more "
        "memory than the builder has ends it; then deploy again",
    )


def variable_too_large(name: str, largest: int) -> Failure:
    return Failure(
        reason="variable-too-large",
        detail=f"the variable {name} is longer than {largest} bytes, which a program can be given",
        hint="make its value shorter, or put it into a file of the repository or the image",
    )


def variables_too_large(size: int | None = None, largest: int | None = None) -> Failure:
    """Without figures: the kernel refused them."""
    known = f"they have {size} bytes together, {largest} at most"
    return Failure(
        reason="variables-too-large",
        detail="the variables and build arguments are more than a program can be given"
        + (f": {known}" if size else ""),
        hint="remove the ones that are not needed, or put long values into files",
    )


def secrets_unreadable(detail: str) -> Failure:
    return Failure(
        reason="secrets-unreadable",
        detail=f"the variables of this deployment can't be opened: {detail}",
        hint="set the secret variables again; if many are concerned, the master key was changed",
    )


def dockerfile_missing(file: str, there: Sequence[str]) -> Failure:
    shown = ", ".join(sorted(there)[:20]) or "nothing"
    return Failure(
        reason="dockerfile-missing",
        detail=f"the repository has no {file}",
        hint=f"set build.file, or source.path for a sub-folder; found there: {shown}",
    )


def folder_missing(folder: str) -> Failure:
    return Failure(
        reason="folder-missing",
        detail=f"the repository has no folder {folder}",
        hint="check source.path, build.context or build.directory",
    )


def build(step: tuple[str, str, list[str]] | None, text: Sequence[str]) -> Failure:
    """`step`: name, error and last lines of the step that failed; `text`: the program's words."""
    words = "\n".join(text)
    error = step[1] if step else words
    both = f"{error}\n{words}"
    line = (_LINE.search(words) or [None, None])[1]
    at = f"line {line} of the Dockerfile" if line else "the Dockerfile"
    said = "\n".join(step[2]) if step else ""
    if "no space left on device" in f"{both}\n{said}".lower():
        lines = tuple(step[2]) if step else ()
        return disk_full("while building").model_copy(update={"lines": lines})
    if found := _PARSE.search(both):
        return Failure(
            reason="dockerfile-invalid",
            detail=f"line {found[1]} of the Dockerfile can't be read: {found[2]}",
            hint="mend that line",
        )
    if found := _LINE_TOO_LONG.search(both):
        return Failure(
            reason="dockerfile-invalid",
            detail=f"a line of the Dockerfile is longer than {found[1]} bytes",
            hint="break that line with a backslash at its end, or put long text into a file",
        )
    if step and (code := _EXIT.search(error)):
        command = clipped(step[0].partition("] ")[2] or step[0], 1000)
        return Failure(
            reason="build-step-failed",
            detail=f"{at}: {command} ended with exit code {code[1]}",
            hint="its last lines say why",
            lines=tuple(step[2]),
        )
    if any(sign in both for sign in _PULL) and "failed to push" not in both:
        return Failure(
            reason="base-image-missing",
            detail=f"{at}: {_base(step)} can't be pulled: {error.strip()[-300:]}",
            hint="check its name and tag, and that the server reaches the registry",
        )
    if _CUT_OFF.search(both):
        return engine_away(words.strip()[-200:])
    return Failure(
        reason="build-failed",
        detail=f"{at}: {error.strip()[-400:] or 'the build ended without a word'}",
        hint="look at the log above",
        lines=tuple(step[2]) if step else tuple(text[-20:]),
    )


def _base(step: tuple[str, str, list[str]] | None) -> str:
    """The image which BuildKit looked for, by the name of its step."""
    _, _, name = (step[0] if step else "").partition("load metadata for ")
    return (
        f"the image {clipped(name, 500)}, on which it builds,"
        if name
        else "an image on which it builds"
    )


def image_unavailable(name: str, error: str) -> Failure:
    return Failure(
        reason="image-pull-failed",
        detail=f"the image {name} can't be pulled: {error.strip()[-300:]}",
        hint="check its name and tag, and that the server reaches the registry",
    )


def image_missing(reference: str) -> Failure:
    return Failure(
        reason="image-missing",
        detail=f"the image {reference} is not on the server any more",
        hint="deploy with a build",
    )


def nothing_to_repeat(deployment: str) -> Failure:
    return Failure(
        reason="nothing-to-repeat",
        detail=f"the build of the deployment {deployment} has no outcome that can be used again",
        hint="deploy with a build",
    )


def workloads_too_large(size: int, limit: int) -> Failure:
    return Failure(
        reason="workloads-too-large",
        detail=f"what is to run takes {size} bytes with its variables and files, {limit} at most",
        hint="put large values in a file of the image or a volume",
    )
