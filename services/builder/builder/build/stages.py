"""Stages of a Dockerfile whose steps are given secrets. BuildKit takes a step from its cache though
a secret of it has changed, so such a stage is built anew. Pure."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

_FROM = re.compile(r"\s*FROM\s+(?:--\S+\s+)*\S+(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
_MOUNT = re.compile(r"--mount=(\S*)")
_ID = re.compile(r"(?:^|,)id=([^,]+)")
_MOST = 200
"""Steps with secrets that are told apart. A Dockerfile with more is built anew as a whole."""
_TARGET = re.compile(r"(?:^|,)(?:target|dst|destination)=([^,]+)")


@dataclass(frozen=True, slots=True)
class Secret:
    """A step with secrets: `stage` is its stage's name, empty where it has none; `text` tells it
    from other steps; `ids` of its secrets, None where that can't be told."""

    stage: str
    text: str
    ids: frozenset[str] | None


def secret_steps(dockerfile: str) -> list[Secret]:
    """Those of all stages. What only looks like one is one."""
    found: list[Secret] = []
    stage = ""
    for line in _logical(dockerfile):
        if len(found) > _MOST:
            break
        if match := _FROM.fullmatch(line):
            stage = match[1] or ""
        mounts = [each for each in _MOUNT.findall(line) if "secret" in each.lower() or "$" in each]
        if mounts:
            found.append(Secret(stage, line, _ids(mounts)))
    return found


def _logical(dockerfile: str) -> list[str]:
    """Lines, joined where one goes on in the next; comments between them are left out."""
    kept = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    return re.sub(r"[\\`][ \t]*\n", " ", "\n".join(kept)).splitlines()


def _ids(mounts: list[str]) -> frozenset[str] | None:
    ids: set[str] = set()
    for mount in mounts:
        plain = mount.replace('"', "").replace("'", "")
        if "$" in plain:
            return None
        if match := _ID.search(plain):
            ids.add(match[1])
        elif match := _TARGET.search(plain):
            ids.add(match[1].rpartition("/")[2])
        else:
            return None
    return frozenset(ids)


def marks(
    steps: list[Secret], values: Mapping[str, str], organization: str, key: bytes
) -> dict[str, str]:
    """Of each step the mark of those `values` that it is given. `key`: the organization's."""
    if len(steps) > _MOST:
        return {}

    def mark(ids: frozenset[str] | None) -> str:
        given = values.keys() if ids is None else ids
        whole = "\0".join(f"{id_}\0{values.get(id_, '')}" for id_ in sorted(given))
        return hmac.new(key, whole.encode(), hashlib.sha256).hexdigest()

    by_ids = {ids: mark(ids) for ids in {step.ids for step in steps}}
    return {
        hashlib.sha256(f"{organization}\0{step.text}".encode()).hexdigest(): by_ids[step.ids]
        for step in steps
    }


def anew(steps: list[Secret], changed: bool) -> str | None:
    """BuildKit's `no-cache`: the stages, empty for all of them; None for none. A stage without a
    name can't be told from others."""
    if len(steps) > _MOST:
        return ""
    if not steps or not changed:
        return None
    names = sorted({step.stage for step in steps})
    return "" if "" in names else ",".join(names)
