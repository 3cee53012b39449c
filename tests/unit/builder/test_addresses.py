"""Which addresses are cloned from, and that git connects to the one that was checked."""

import asyncio
import socket
from typing import Any

import pytest
from builder.adapters.addresses import AddressRefused, pin

CONTROL = ["10.0.1.0/24", "fd00:1::/64"]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """name → address, in place of the resolver; a literal is its own address."""
    known: dict[str, str] = {}

    async def getaddrinfo(_loop: Any, host: str, port: int, **_: Any) -> list[Any]:
        if host == "unknown.example":
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known.get(host, host), port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return known


@pytest.mark.parametrize(
    ("url", "address", "pinned"),
    [
        ("https://git.example/a.git", "140.82.121.4", "git.example:443:140.82.121.4"),
        ("http://git.example/a.git", "140.82.121.4", "git.example:80:140.82.121.4"),
        ("https://git.example:8443/a.git", "140.82.121.4", "git.example:8443:140.82.121.4"),
        ("https://git.example/a.git", "2606:50c0::1", "git.example:443:[2606:50c0::1]"),
        ("https://user@git.example/a.git", "140.82.121.4", "git.example:443:140.82.121.4"),
    ],
)
async def test_a_public_address_is_pinned(
    names: dict[str, str], url: str, address: str, pinned: str
):
    names["git.example"] = address
    assert await pin(url, allow_private=False, control=CONTROL) == pinned


NEVER = {
    "loopback": "127.0.0.1",
    "loopback 6": "::1",
    "link": "169.254.169.254",
    "link 6": "fe80::1",
    "no address": "0.0.0.0",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "control": "10.0.1.7",
    "control 6": "fd00:1::7",
    "loopback as 6": "::ffff:127.0.0.1",
    "control as 6": "::ffff:10.0.1.7",
    "link as 6": "::ffff:169.254.169.254",
}


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize("what", NEVER)
async def test_what_is_never_cloned_from(names: dict[str, str], what: str, allow_private: bool):
    names["git.example"] = NEVER[what]
    with pytest.raises(AddressRefused):
        await pin("http://git.example/a.git", allow_private=allow_private, control=CONTROL)


@pytest.mark.parametrize("address", ["10.0.2.7", "192.168.1.1", "172.16.0.1", "fd00:2::1"])
async def test_private_ones_only_where_the_operator_allows(names: dict[str, str], address: str):
    names["git.example"] = address
    with pytest.raises(AddressRefused, match="private"):
        await pin("http://git.example/a.git", allow_private=False, control=CONTROL)
    pinned = await pin("http://git.example/a.git", allow_private=True, control=CONTROL)
    assert address in pinned


async def test_of_the_control_network_only_the_own_repositories(names: dict[str, str]):
    names["sample-git"] = "10.0.1.7"
    pinned = await pin("http://sample-git/s.git", allow_private=True, control=CONTROL)
    assert pinned == "sample-git:80:10.0.1.7"
    with pytest.raises(AddressRefused):
        await pin("http://sample-git/s.git", allow_private=False, control=CONTROL)


async def test_a_name_that_is_not_known(names: dict[str, str]):
    with pytest.raises(OSError, match="not known"):
        await pin("https://unknown.example/a.git", allow_private=False, control=CONTROL)


@pytest.mark.parametrize("host", ["git..example", ".example", "a" * 64 + ".example", "a:70000"])
async def test_an_address_that_cannot_exist(host: str):
    with pytest.raises(AddressRefused, match="can exist"):
        await pin(f"http://{host}/a.git", allow_private=True, control=[])
