"""Secrets out of log lines. Pure."""

import re
from collections.abc import Callable, Iterable

MASK = "***"


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Replaces exactly these values. A value of several lines is masked line by line, as a log
    shows it; the longest first, so that no rest of one is left by another."""
    parts = {line.strip() for secret in secrets for line in secret.splitlines()}
    found = sorted((part for part in parts if part), key=len, reverse=True)
    if not found:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(part) for part in found))
    return lambda text: pattern.sub(MASK, text)
