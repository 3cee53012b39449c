"""What the gateway is told."""

from urllib.parse import quote

from pydantic import SecretStr
from slipway.runtime.settings import LimitSettings

_OF_THE_SWARM = frozenset({"2377/tcp", "7946/tcp", "7946/udp", "4789/udp"})


class GatewaySettings(LimitSettings):
    nats_user: str = "api-gateway"
    mongo_host: str = "mongo:27017"
    """Where MongoDB is reached, as `host:port`."""
    mongo_password: SecretStr = SecretStr("")
    """Of its user `root`; empty where it asks for none."""
    master_public: str = ""
    """The master key's public half: what is sealed to it only builder and deployer can open."""
    gateway_key: SecretStr = SecretStr("")
    """Private half of the gateway's own key, for what it must read again itself."""
    setup_token: SecretStr = SecretStr("")
    """With which the first owner is made, once."""
    public_url: str = ""
    """Where the public HTTP port is reached from outside, as `http://203.0.113.7`."""
    listen_port: int = 8000
    """Where the API listens, on the control network."""
    http_port: int = 80
    """Of the host, as proxy-sync's: no service publishes it."""
    https_port: int = 443
    """Of the host, as proxy-sync's: no service publishes it."""
    api_port: int = 4000
    """Of the host, as proxy-sync's: no service publishes it."""
    registry_port: int = 5000
    """Of the host, as builder's: no service publishes it."""
    test_kinds: bool = False
    """Whether there are services of kind `raw`, workloads as they are said: for tests alone."""

    @property
    def own_ports(self) -> frozenset[str]:
        """The platform's and the swarm's of the host, such as 80/tcp: whoever has one of them when
        the proxy or the registry's door starts anew gets everybody's traffic, or what the engine
        asks for as the platform."""
        own = (self.http_port, self.https_port, self.api_port, self.registry_port)
        return frozenset(f"{port}/tcp" for port in own) | _OF_THE_SWARM

    @property
    def mongo_url(self) -> str:
        password = self.mongo_password.get_secret_value()
        credentials = f"root:{quote(password, safe='')}@" if password else ""
        return f"mongodb://{credentials}{self.mongo_host}"
