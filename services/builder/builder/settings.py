"""What the builder is told."""

from pathlib import Path

from pydantic import SecretStr
from slipway.runtime.settings import Settings


class BuilderSettings(Settings):
    nats_user: str = "builder"
    master_private: SecretStr = SecretStr("")
    allow_private_sources: bool = False
    """Whether repositories may be at private addresses."""
    work: Path = Path("/var/lib/slipway/builder")
    builds_at_once: int = 2
