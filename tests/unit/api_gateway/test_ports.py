"""Who has a port of the host."""

from typing import Any, cast

import pytest
from api_gateway import ports
from api_gateway.ports import PORT, Claim, PortState, PortTaken, Release
from api_gateway.settings import GatewaySettings
from slipway.contracts.port import PortClaimed, PortReleased
from slipway.contracts.values import PublishedPort
from slipway.kernel.envelope import NOTHING, Head

from tests.unit.api_gateway.given import Given


def claimed(service: str, claim: str) -> PortClaimed:
    return PortClaimed(port="5432/tcp", organization="o1", service=service, claim=claim)


def claim(service: str, claim_: str, over: PortState | None = None) -> Claim:
    return Claim("5432/tcp", "o1", service, claim_, over)


def state(service: str, claim_: str) -> PortState:
    return PortState(port="5432/tcp", organization="o1", service=service, claim=claim_)


def test_it_is_claimed_once_by_a_request():
    Given(PORT).when(claim("a", "r1")).then(claimed("a", "r1"))
    Given(PORT, claimed("a", "r1")).when(claim("a", "r1")).nothing()


def test_another_service_does_not_get_it():
    Given(PORT, claimed("a", "r1")).when(claim("b", "r2")).refused(PortTaken)


def test_it_is_taken_over_from_whom_it_was_seen_to_have_left():
    before = Given(PORT, claimed("a", "r1"))
    before.when(claim("b", "r2", state("a", "r1"))).then(claimed("b", "r2"))


def test_not_when_its_service_has_claimed_it_again_meanwhile():
    before = Given(PORT, claimed("a", "r1"), claimed("a", "r3"))
    before.when(claim("b", "r2", state("a", "r1"))).refused(PortTaken)
    Given(PORT, claimed("a", "r1")).when(claim("a", "r3")).then(claimed("a", "r3"))


def test_it_is_released_as_it_was():
    released = PortReleased(service="a")
    before = Given(PORT, claimed("a", "r1"))
    after = before.when(Release("a", state("a", "r1"))).then(released)
    assert after == state("a", "r1").model_copy(update={"released": True})
    Given(PORT, claimed("a", "r1"), released).when(Release("a", after)).nothing()
    again = Given(PORT, claimed("a", "r1"), claimed("a", "r2"))
    again.when(Release("a", state("a", "r1"))).nothing()
    Given(PORT, claimed("b", "r1")).when(Release("a", state("b", "r1"))).nothing()
    claimed_anew = Given(PORT, claimed("a", "r1"), released).when(claim("a", "r2"))
    assert claimed_anew.then(claimed("a", "r2")) == state("a", "r2")


@pytest.mark.parametrize(
    "port", ["80/tcp", "8443/tcp", "4000/tcp", "5000/tcp", "2377/tcp", "4789/udp"]
)
async def test_nobody_gets_one_of_the_platforms_own(port: str):
    settings = GatewaySettings.model_construct(https_port=8443)
    own = settings.own_ports
    number, _, protocol = port.partition("/")
    wanted = PublishedPort.model_validate(
        {"port": 80, "published": int(number), "protocol": protocol}
    )
    free, nobody = PublishedPort(port=80, published=8080), cast(Any, None)
    with pytest.raises(PortTaken, match="platform's own") as refused:
        await ports.free(nobody, nobody, "a", [("/a", free), ("/b", wanted)], nobody, own)
    assert refused.value.pointer == "/b"


async def test_of_two_that_want_the_same_ones_at_once_one_gets_them_all():
    order: list[str] = []

    class Asked:
        async def load(self, *_: Any) -> tuple[None, Head]:
            return None, NOTHING

        async def handle(self, ctx: Any, decider: Any, id_: str, claim: Claim, **_: Any) -> None:
            order.append(claim.port)

    claims = [Claim(port, "o1", "a", "r1") for port in ("81/tcp", "80/tcp", "80/udp")]
    for wanted in (claims, claims[::-1]):
        await ports.claim(cast(Any, Asked()), cast(Any, None), wanted)
    assert order[:3] == order[3:] == ["80/tcp", "80/udp", "81/tcp"]
