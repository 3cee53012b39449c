"""Ids: UUIDs, derived wherever a repeat must meet the first try again."""

import hashlib
from uuid import NAMESPACE_URL, UUID, uuid5

NAMESPACE = uuid5(NAMESPACE_URL, "urn:slipway")


def derived(*parts: str | int) -> str:
    """UUIDv5 of the parts; the same parts always give the same id."""
    return str(uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts)))


def request_id(organization: str, actor: str, method: str, path: str, key: str) -> str:
    """The id of a request that carries an `Idempotency-Key`."""
    return derived("request", organization, actor, method, path, key)


def commit_id(cause: str, subject: str, step: str = "", attempt: int = 0) -> str:
    """`cause` is the request or the commit that made someone append to `subject`."""
    return derived("commit", cause, subject, step, attempt)


def value_id(kind: str, *value: str) -> str:
    """The id of the aggregate which reserves a unique value (host, email, name)."""
    text = "\x1f".join((kind, *value))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
