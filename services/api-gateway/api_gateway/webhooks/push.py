"""Push events of GitHub and Gitea (and what speaks like them). Pure."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.contracts.values import GitSource
from slipway.kernel.errors import Invalid

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_EVENTS = ("x-github-event", "x-gitea-event", "x-forgejo-event", "x-gogs-event")
_DELIVERIES = ("x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery")
_SIGNATURES = (
    "x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature", "x-gogs-signature",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Push:
    """`default`: the repository's default branch, where the server says it."""

    delivery: str
    branch: str
    commit: str
    default: str | None = None

    def ignored(self, source: GitSource) -> str | None:
        """Why it starts nothing, None where it does. A tag and a commit stay what they are,
        whatever is pushed."""
        for kind, name in (("tag", source.tag), ("commit", source.commit)):
            if name is not None:
                return f"the service follows the {kind} {name[:200]}, and no branch"
        if self.branch == (source.branch if source.branch is not None else self.default):
            return None
        return f"the service follows another branch than {self.branch[:200]}"


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((headers[name] for name in names if headers.get(name)), "")


def kind(headers: Mapping[str, str]) -> str:
    """Raises Invalid for what no git server sends."""
    if found := _first(headers, _EVENTS):
        return found
    raise Invalid("this is no delivery of GitHub or Gitea: the event's header is missing")


def signed(headers: Mapping[str, str], body: bytes | bytearray, secret: str) -> bool:
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = _first(headers, _SIGNATURES).removeprefix("sha256=")
    return hmac.compare_digest(given.encode(), wanted.encode())


def parse(headers: Mapping[str, str], payload: Any) -> Push | None:
    """None for what starts nothing: another event, a tag, a deleted branch. Raises Invalid."""
    if kind(headers) != "push":
        return None
    if not isinstance(payload, dict) or not isinstance(payload.get("ref"), str):
        raise Invalid("a push has a ref", pointer="/ref")
    ref, commit = payload["ref"], payload.get("after")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise Invalid("a push has the commit after it", pointer="/after")
    if not ref.startswith("refs/heads/") or set(commit) == {"0"}:
        return None
    delivery = _first(headers, _DELIVERIES)
    repository = payload.get("repository")
    default = repository.get("default_branch") if isinstance(repository, dict) else None
    return Push(
        delivery=delivery[:200] or hashlib.sha256(f"{ref}{commit}".encode()).hexdigest(),
        branch=ref.removeprefix("refs/heads/"),
        commit=commit,
        default=default if isinstance(default, str) else None,
    )
