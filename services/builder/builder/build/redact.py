"""Secrets out of what programs print. Pure."""

import re
from collections.abc import Callable, Iterable

from slipway.contracts.clipping import shown

MASK = "***"


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Replaces exactly these values. A value of several lines is masked line by line, as a log
    shows it; the longest first, so that no rest of one is left by another. What it gives is `shown`
    already: a colour amid a secret does not hide it."""
    parts = {line.strip() for secret in secrets for line in secret.splitlines()}
    found = sorted((part for part in parts if part), key=len, reverse=True)
    if not found:
        return shown
    pattern = re.compile("|".join(re.escape(part) for part in found))
    return lambda text: pattern.sub(MASK, shown(pattern.sub(MASK, text)))
