"""What the builder takes from the engine's answers."""

from typing import Any

import pytest
from builder.adapters.engine import Engine
from slipway.runtime.engine import EngineMissing, EngineRefused


class Answering:
    """It has one image, which exposes these."""

    def __init__(self, *exposed: str) -> None:
        self.exposed = exposed
        self.pulled: list[str] = []
        self.asked: list[str] = []

    async def query(self, path: str) -> Any:
        self.asked.append(path)
        match path:
            case "images/127.0.0.1:5001/org/a1@sha256:0/json":
                ports: dict[str, dict[str, str]] = {port: {} for port in self.exposed}
                return {"Id": "sha256:9", "Config": {"ExposedPorts": ports}}
            case "info":
                return {"Swarm": {"NodeID": "n"}}
            case _:
                raise EngineMissing(path)

    async def pull(self, name: str) -> None:
        self.pulled.append(name)


def engine(answering: "Answering | Store") -> Engine:
    return Engine(answering, 5001)  # pyright: ignore[reportArgumentType]


async def test_what_is_no_tcp_port_is_not_exposed():
    odd = ("0/tcp", "65536/tcp", f"{10**30}/tcp", "53/udp", "80", "\u0663/tcp", "80-90/tcp", "/tcp")
    answering = Answering("8080/tcp", "65535/tcp", "080/tcp", "80/tcp", *odd)
    image = await engine(answering).image("org/a1@sha256:0", source=None)
    assert image is not None
    assert image.ports == (80, 8080, 65535)


async def test_an_image_is_the_registrys_and_is_named_without_its_place():
    answering = Answering()
    image = await engine(answering).image("org/a1@sha256:0", source="web:1")
    assert image is not None
    assert (image.reference, image.node, image.source) == ("org/a1@sha256:0", "n", "web:1")
    await engine(answering).pull("org/a1@sha256:0")
    assert answering.pulled == ["127.0.0.1:5001/org/a1@sha256:0"]


@pytest.mark.parametrize("reference", ["sha256:9", "nginx:1", "org/a2@sha256:0"])
async def test_nothing_else_of_the_engines_store_is_taken(reference: str):
    assert await engine(Answering()).image(reference, source=None) is None


class Store:
    """Images with their labels' service and their names."""

    def __init__(self, *names: str, used: bool = False) -> None:
        self.names, self.used = list(names), used
        self.removed: list[str] = []

    async def query(
        self, path: str, method: str = "GET", *, params: dict[str, str] | None = None
    ) -> Any:
        if method == "GET":
            assert params == {"filters": '{"label": ["slipway.service=a1"]}'}
            return [{"Id": "sha256:9", "RepoDigests": self.names}, {"Id": "1", "RepoDigests": None}]
        if self.used:
            raise EngineRefused("a container has it")
        if path.removeprefix("images/") not in self.names:
            raise EngineMissing(path)
        self.removed.append(path)
        return None


async def test_what_is_forgotten_is_the_registrys_name_alone():
    foreign = ("mine@sha256:1", "127.0.0.1:5002/org/a1@sha256:1", "127.0.0.1:5001/org/a12@sha256:1")
    store = Store("127.0.0.1:5001/org/a1@sha256:1", *foreign)
    names = await engine(store).fetched("org", "a1")
    assert names == ["org/a1@sha256:1"]
    await engine(store).forget(names[0])
    await engine(store).forget("org/a1@sha256:gone")
    assert store.removed == ["images/127.0.0.1:5001/org/a1@sha256:1"]
    with pytest.raises(EngineRefused):
        await engine(Store(used=True)).forget(names[0])


async def test_which_node_it_is_is_asked_once():
    answering = Answering()
    asks = engine(answering)
    for _ in range(2):
        assert await asks.image("org/a1@sha256:0", source=None) is not None
    assert answering.asked.count("info") == 1
