"""Patterns that texts have to fit, and what is said where one does not: what is allowed."""

from slipway.contracts.values import PRINTABLE

NO_NUL = r"^[^\x00]*$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
LABEL = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
ADDRESS = r"^[\x21-\x7e]*$"
ASKED_PATH = r"^/[\x21-\x7e]*$"
ROUTED_PATH = r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$"
EMAIL = r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$"
NAMED = r"^[A-Za-z0-9][A-Za-z0-9._/-]*$"
MODE = r"^0?[0-7]{3}$"
USER = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$"
COMMIT = r"^([0-9a-f]{40}|[0-9a-f]{64})$"
_STAGE = r"^[A-Za-z0-9._-]+$"

ALLOWED = {
    PRINTABLE: "may hold no control characters and no line ends",
    NO_NUL: "may hold no NUL",
    VARIABLE: "may hold letters from A to Z, digits and underscores, and begins with no digit",
    LABEL: "may hold small letters from a to z, digits and hyphens; it begins with a letter, does"
    " not end with a hyphen, and has 63 characters at most",
    ADDRESS: "may hold visible ASCII characters only, and no spaces",
    ASKED_PATH: "begins with a slash, and may hold visible ASCII characters only, and no spaces",
    ROUTED_PATH: "begins with a slash, and may hold letters from A to Z, digits and"
    " . _ ~ ! $ & ' ( ) * + , ; = : @ % / -",
    EMAIL: "has to be an address such as ada@example.org, without spaces",
    NAMED: "may hold letters from A to Z, digits and . _ / -, and begins with a letter or digit",
    MODE: "has to be an octal mode of a file, such as 0444",
    USER: "has to be a user, such as app, 1000 or 1000:1000",
    COMMIT: "has to be the whole hash of a commit: 40 or 64 digits, letters from a to f among them",
    _STAGE: "may hold letters from A to Z, digits, dots, underscores and hyphens",
}
"""By the pattern. A test finds one that has no sentence."""
