"""What this run is to install: read once from the environment that `infra/up.sh` gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """One instance on one engine. Ports are TCP ports; the API's is bound on loopback only."""

    instance: str
    http_port: int
    https_port: int
    api_port: int
    control_image: str
    nats_image: str
    mongo_image: str
    traefik_image: str
    engine_socket: str
    state: Path
    """The folder that becomes `.slipway` on the machine."""
    first_owner: bool
    """Make the first owner and the sample; a production install leaves that to its operator."""
    egress_allow: str = ""
    """Of the operator: see `slipway.egress.policy.entries`."""
    registries: tuple[str, ...] = ()
    """The URLs of the package registries that this machine is set up with."""

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def sample_host(self) -> str:
        return "sample.localhost"

    @property
    def sample_url(self) -> str:
        port = "" if self.http_port == 80 else f":{self.http_port}"
        return f"http://{self.sample_host}{port}"

    @property
    def env_file(self) -> Path:
        return self.state / ("env" if self.instance == "slipway" else f"{self.instance}.env")

    def named(self, name: str) -> str:
        """The engine's object `name` of this instance."""
        return f"{self.instance}_{name}"


def read(environment: Mapping[str, str]) -> Settings:
    """Raises KeyError for a variable that is missing: `infra/up.sh` gives all."""
    return Settings(
        instance=environment["SLIPWAY_INSTANCE"],
        http_port=int(environment["HTTP_PORT"]),
        https_port=int(environment["HTTPS_PORT"]),
        api_port=int(environment["API_PORT"]),
        control_image=environment["SLIPWAY_CONTROL_IMAGE"],
        nats_image=environment["SLIPWAY_NATS_IMAGE"],
        mongo_image=environment["SLIPWAY_MONGO_IMAGE"],
        traefik_image=environment["SLIPWAY_TRAEFIK_IMAGE"],
        engine_socket=environment["SLIPWAY_ENGINE_SOCKET"],
        state=Path(environment["SLIPWAY_STATE"]),
        first_owner=environment.get("SLIPWAY_FIRST_OWNER", "true") == "true",
        egress_allow=environment.get("SLIPWAY_EGRESS_ALLOW", ""),
        registries=tuple(environment.get("SLIPWAY_REGISTRIES", "").split()),
    )
