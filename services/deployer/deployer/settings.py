"""What the deployer is told."""

from pathlib import Path

from pydantic import SecretStr
from slipway.runtime.settings import Settings


class DeployerSettings(Settings):
    nats_user: str = "deployer"
    master_private: SecretStr = SecretStr("")
    """The master key's private half, which opens organizations' keys."""
    lifeline: Path = Path("/usr/lib/slipway/lifeline")
    """The program that is mounted into releases."""
    lifeline_volume: Path = Path("/var/lib/slipway/lifeline")
    """Where the volume `<instance>_lifeline` is mounted here."""
    volume_keep_seconds: float = 7 * 86400
    """How long a volume outlives its service. Then it is removed, and its data with it."""
    registry_port: int = 5000
    """Where the engine finds the registry, on loopback."""
