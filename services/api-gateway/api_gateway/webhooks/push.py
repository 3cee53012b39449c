"""Push events of GitHub and Gitea (and what speaks like them). Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.kernel.errors import Invalid


@dataclass(frozen=True, slots=True)
class Push:
    delivery: str
    branch: str
    commit: str
    message: str
    author: str


def kind(headers: Mapping[str, str]) -> str:
    for name in ("x-github-event", "x-gitea-event", "x-gogs-event", "x-forgejo-event"):
        if name in headers:
            return headers[name]
    raise Invalid("this is no delivery of GitHub or Gitea: the event's header is missing")


def signed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = headers.get("x-hub-signature-256", "").removeprefix("sha256=") or headers.get(
        "x-gitea-signature", ""
    )
    return hmac.compare_digest(given.encode(), wanted.encode())


def parse(headers: Mapping[str, str], payload: Any) -> Push | None:
    """None for what starts nothing: another event, a tag, a deleted branch. Raises Invalid."""
    if kind(headers) != "push":
        return None
    if not isinstance(payload, dict) or not isinstance(payload.get("ref"), str):
        raise Invalid("a push has a ref", pointer="/ref")
    ref, commit = payload["ref"], payload.get("after")
    if not isinstance(commit, str) or not commit:
        raise Invalid("a push has the commit after it", pointer="/after")
    if not ref.startswith("refs/heads/") or set(commit) == {"0"}:
        return None
    head = payload.get("head_commit")
    head = head if isinstance(head, dict) else {}
    author = head.get("author")
    delivery = (
        headers.get("x-github-delivery")
        or headers.get("x-gitea-delivery")
        or hashlib.sha256(f"{ref}{commit}".encode()).hexdigest()
    )
    return Push(
        delivery=delivery[:200],
        branch=ref.removeprefix("refs/heads/"),
        commit=commit[:64],
        message=str(head.get("message", ""))[:500].partition("\n")[0],
        author=str(author.get("name", "") if isinstance(author, dict) else "")[:200],
    )
