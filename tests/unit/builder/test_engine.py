"""What the builder takes from the engine's answers."""

from typing import Any

from builder.adapters.engine import Engine


class Answering(Engine):
    """It has one image, which exposes these."""

    def __init__(self, *exposed: str) -> None:
        self.exposed = exposed

    async def query(self, path: str, *_: Any, **__: Any) -> Any:
        return {"Id": "sha256:0", "Config": {"ExposedPorts": {port: {} for port in self.exposed}}}

    async def node(self) -> str:
        return "n"


async def test_what_is_no_tcp_port_is_not_exposed():
    odd = ("0/tcp", "65536/tcp", f"{10**30}/tcp", "53/udp", "80", "\u0663/tcp", "80-90/tcp", "/tcp")
    image = await Answering("8080/tcp", "65535/tcp", "080/tcp", "80/tcp", *odd).image(
        "a", source=None
    )
    assert image is not None
    assert image.ports == (80, 8080, 65535)
