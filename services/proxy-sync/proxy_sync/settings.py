"""What proxy-sync is told."""

from pathlib import Path

from pydantic import SecretStr
from slipway.runtime.settings import Settings


class ProxySettings(Settings):
    nats_user: str = "proxy-sync"
    traefik_image: str = "traefik:v3.7"
    traefik_password: SecretStr = SecretStr("")
    probe_key: SecretStr = SecretStr("")
    http_port: int = 80
    https_port: int = 443
    api_port: int = 4000
    configuration: Path = Path("/var/lib/slipway/traefik")
    """Where the volume `<instance>_traefik` is mounted here; Traefik reads it."""
    edge: str = "main"
