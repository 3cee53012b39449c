"""What the builder is told."""

from pathlib import Path

from pydantic import SecretStr
from slipway.runtime.settings import Settings


class BuilderSettings(Settings):
    nats_user: str = "builder"
    master_private: SecretStr = SecretStr("")
    """The master key's private half, which opens organizations' keys."""
    allow_private_sources: bool = False
    """Whether repositories may be at private addresses, also behind a name."""
    work: Path = Path("/var/lib/slipway/builder")
    """Where repositories are cloned to; nothing in it outlives its build."""
    builds_at_once: int = 2
    """Of all organizations together; later ones wait."""
