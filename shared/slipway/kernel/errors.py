"""Errors of the domain, each of which knows its own HTTP face.

DomainError
├── Refused          409  the state does not allow it
├── Invalid          422  a field is wrong; `pointer` is its JSON pointer
├── NotFound         404  absent, or another organization's
├── Gone             410  made by this very request, and not there any more
├── Forbidden        403  the role does not allow it
├── Unauthenticated  401
├── PreconditionFailed 412  If-Match named another version
├── TooMany          429
└── Unavailable      503  the outcome is unknown or a dependency is away; try again
"""

from typing import ClassVar


class DomainError(Exception):
    """Base of every error a caller may see. `slug` is the stable problem type."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, pointer: str | None = None, hint: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.hint = hint


class Refused(DomainError):
    status = 409
    slug = "refused"


class Invalid(DomainError):
    status = 422
    slug = "invalid"


class NotFound(DomainError):
    status = 404
    slug = "not-found"


class Gone(DomainError):
    status = 410
    slug = "gone"


class Forbidden(DomainError):
    status = 403
    slug = "forbidden"


class Unauthenticated(DomainError):
    status = 401
    slug = "unauthenticated"


class PreconditionFailed(DomainError):
    status = 412
    slug = "precondition-failed"


class TooMany(DomainError):
    status = 429
    slug = "too-many-requests"


class Unavailable(DomainError):
    status = 503
    slug = "unavailable"
