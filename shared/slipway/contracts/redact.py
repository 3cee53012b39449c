"""Secrets out of what programs print. Pure."""

from collections.abc import Callable, Iterable

from slipway.contracts.clipping import shown

MASK = "***"
_TELLING = 4
"""Characters of one line of several that may be a secret: `{`, `---` and the like are none."""


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Replaces exactly these values, in a text of any number of lines. A value of several lines is
    masked line by line, as a log shows it; the longest first, so that no rest of one is left by
    another. What it gives is `shown` already: a colour amid a secret does not hide it."""
    parts = {part for secret in secrets for part in _parts(secret)}
    found = sorted(parts, key=lambda part: (-len(part), part))

    def masked(text: str) -> str:
        for part in found:
            if part in text:
                text = text.replace(part, MASK)
        return text

    return lambda text: masked(shown(masked(text)))


def _parts(secret: str) -> list[str]:
    lines = [line for line in map(str.strip, secret.splitlines()) if line]
    return lines if len(lines) == 1 else [line for line in lines if len(line) >= _TELLING]
