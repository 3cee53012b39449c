"""What proxy-sync is told."""

from pathlib import Path

from pydantic import SecretStr
from slipway.runtime.settings import Settings


class ProxySettings(Settings):
    nats_user: str = "proxy-sync"
    traefik_image: str = "traefik:v3.7"
    """The proxy that is run."""
    traefik_password: SecretStr = SecretStr("")
    """Of the proxy's own API, on the control network."""
    probe_key: SecretStr = SecretStr("")
    """From which the header of probes is made, which nobody else can send."""
    public_url: str = ""
    """As the gateway's: webhooks at its host lead to the platform, whoever has a domain there."""
    http_port: int = 80
    """Published on all addresses."""
    https_port: int = 443
    """Published on all addresses."""
    api_port: int = 4000
    """Published on loopback."""
    configuration: Path = Path("/var/lib/slipway/traefik")
    """Where the volume `<instance>_traefik` is mounted here; Traefik reads it."""
    edge: str = "main"
    """Which proxy this is: routes are activated for each edge on its own."""
