"""What else is in a network with Traefik's container, as the engine tells it."""

from typing import Any

import pytest
from proxy_sync.adapters.traefik_container import TraefikContainer
from slipway.contracts import labels
from slipway.runtime.engine import EngineMissing, EngineRefused

OWNER = {labels.ORGANIZATION: "org", labels.SERVICE: "app"}
US = {"a1": {"Name": "slipway-traefik"}, "lb-net": {"Name": "net-endpoint"}}


class Answers:
    def __init__(self, found: dict[str, Any] | None) -> None:
        self._found = found

    async def query(self, path: str) -> dict[str, Any]:
        assert path == "networks/net"
        if self._found is None:
            raise EngineMissing(path)
        return self._found


@pytest.mark.parametrize(
    ("found", "owner"),
    [
        ({"Labels": OWNER, "Containers": US}, ("org", "app")),
        ({"Labels": OWNER, "Containers": None}, ("org", "app")),
        ({"Labels": OWNER, "Containers": {**US, "b2": {"Name": "slipway-web.1.x"}}}, None),
        ({"Labels": {labels.ENVIRONMENT: "env"}, "Containers": US}, None),
        ({"Labels": None, "Containers": US}, None),
        (None, None),
    ],
)
async def test_whose_network_it_is_alone_in(
    found: dict[str, Any] | None, owner: tuple[str, str] | None
):
    container = TraefikContainer(Answers(found), "slipway")  # pyright: ignore[reportArgumentType]
    assert await container.alone_in("net") == owner


class Refuses:
    def __init__(self, words: str) -> None:
        self._words = words

    async def query(self, path: str, method: str, data: dict[str, Any]) -> None:
        raise EngineRefused(self._words)


@pytest.mark.parametrize("words", ["endpoint with name x already exists", "x is already attached"])
async def test_a_network_that_it_is_in_is_joined(words: str):
    """Two services begin in one environment at once."""
    await TraefikContainer(Refuses(words), "slipway").join("net")  # pyright: ignore[reportArgumentType]


async def test_a_network_that_can_t_be_joined_is_said():
    container = TraefikContainer(Refuses("no room"), "slipway")  # pyright: ignore[reportArgumentType]
    with pytest.raises(EngineRefused):
        await container.join("net")
