"""`python -m tests.architecture.static_checks`: everything that is looked at without being run.
Prints a line for each check and all that a failed one found; the exit status is 1 where one failed.

The contracts of imports are a test of their own (`test_imports`)."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", *(f"services/{p.name}" for p in sorted((ROOT / "services").iterdir())))
LOCKS = ("requirements.lock", "requirements-dev.lock")


@dataclass(frozen=True)
class Outcome:
    """`found` is what a failed check found, or in one line why it did not run."""

    state: Literal["passed", "failed", "did not run"]
    found: str = ""


def program(root: Path, name: str, *arguments: str, seconds: float = 300) -> tuple[int, str, str]:
    """Exit status, output and errors of a program that is installed beside this Python."""
    beside = str(Path(sys.executable).with_name(name))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [beside, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    return done.returncode, done.stdout, done.stderr


def judged(*results: tuple[int, str, str]) -> Outcome:
    found = [output + errors for status, output, errors in results if status]
    return Outcome("failed", "\n".join(found).strip()) if found else Outcome("passed")


def style(root: Path) -> Outcome:
    return judged(
        program(root, "ruff", "check", "--quiet", "."),
        program(root, "ruff", "format", "--quiet", "--check", "."),
    )


def types(root: Path, *files: str) -> Outcome:
    return judged(program(root, "basedpyright", "--pythonpath", sys.executable, *files))


def dependencies(root: Path) -> Outcome:
    """Each package declares what it imports, and imports what it declares."""
    named = ("--no-ansi", "--package-module-name-map", "slipway-shared=slipway")
    return judged(
        *(
            program(root / package, "deptry", ".", *named)
            for package in PACKAGES
        )
    )  # fmt: skip


def vulnerabilities(root: Path) -> Outcome:
    """Known ones of what is locked. Needs an answer from pypi.org, about every package."""
    files = [argument for lock in LOCKS for argument in ("--requirement", lock)]
    quiet = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "5")
    try:
        audit = program(root, "pip-audit", "--format", "json", *quiet, *files, seconds=30)
    except subprocess.TimeoutExpired:
        return Outcome("did not run", "pypi.org did not answer within 30 s")
    return audited(*audit)


def audited(status: int, output: str, errors: str) -> Outcome:
    """What pip-audit's answer says: it ends with 0 also where it could look nothing up."""
    if any(word in errors for word in ("ConnectionError", "Timeout", "HTTPError", "ServiceError")):
        return Outcome("did not run", "pypi.org can't be reached")
    try:
        looked_up = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        return Outcome("failed", f"pip-audit ended with {status}: {errors.strip()[-500:]}")
    known = [
        f"{each['name']} {each['version']}: {fault['id']}, mended in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for each in looked_up
        for fault in each.get("vulns", ())
    ]
    skipped = [each["name"] for each in looked_up if "skip_reason" in each]
    if known:
        return Outcome("failed", "\n".join(known))
    if skipped or not looked_up:
        some = ", ".join(skipped[:3]) + (" …" if len(skipped) > 3 else "")
        told = f"{len(skipped)} of {len(looked_up)} packages ({some})"
        return Outcome("did not run", f"pypi.org told nothing about {told}")
    return Outcome("passed")


CHECKS: dict[str, Callable[[Path], Outcome]] = {
    "types": types,
    "vulnerabilities": vulnerabilities,
    "dependencies": dependencies,
    "style": style,
}


def timed(check: Callable[[Path], Outcome]) -> tuple[Outcome, float]:
    began = time.monotonic()
    try:
        outcome = check(ROOT)
    except subprocess.TimeoutExpired as error:
        name = Path(error.cmd[0]).name
        outcome = Outcome("failed", f"{name} did not end within {error.timeout:g} s")
    return outcome, time.monotonic() - began


def main() -> int:
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for name, (outcome, seconds) in zip(CHECKS, pool.map(timed, CHECKS.values()), strict=True):
            why = f": {outcome.found}" if outcome.state == "did not run" else ""
            print(f"{name} {outcome.state} in {seconds:.1f} s{why}", flush=True)
            if outcome.state == "failed":
                failed += 1
                print(outcome.found, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
