"""How many domains a service may have, and why."""

import asyncio

from api_gateway.domains.domain import MOST
from slipway.contracts.route import Binding, Refusal, RouteFailed, RouteState, Served
from slipway.contracts.values import Failure
from slipway.eventstore import codec
from slipway.kernel.envelope import NOTHING, Actor, Meta
from slipway.runtime.clock import SystemClock

from tests.contract.test_api import Platform, bare, platform

_fixtures = (bare, platform)


async def test_a_service_has_so_many_domains_and_no_more(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}/domains"

    async def add(number: int) -> tuple[int, str]:
        body = {"host": f"h{number}.example.org"}
        answer = await platform.call("POST", path, body, Idempotency_Key=f"k{number}")
        return answer.status_code, answer.json().get("detail", answer.json().get("id"))

    one = await add(0)
    answers = [one, *await asyncio.gather(*(add(number) for number in range(1, MOST + 20)))]
    assert [status for status, _ in answers].count(201) == MOST
    refused = {said for status, said in answers if status == 409}
    assert refused == {f"the service has {MOST} domains already, {MOST} at most"}
    assert await add(0) == one, "a repeat adds none"
    await platform.ok("DELETE", f"/v1/domains/{one[1]}")
    assert (await add(MOST + 30))[0] == 201


def test_the_route_of_all_of_them_fits_a_commit_with_room():
    id_, long = "0" * 36, Failure(reason="x" * 100, detail="x" * 3000, lines=("x" * 2000,) * 40)
    binding = Binding(
        domain=id_, host="h" * 253, path="/" + "p" * 399, workload="w" * 63, port=65535
    )
    state = RouteState(
        environment=id_,
        deployment=id_,
        served=(Served(workload="w" * 63, swarm_service="s" * 63),) * 50,
        named=("s" * 63,) * 50,
        addresses=("fd00:1234:5678:9abc:def0:1234:5678:9abc:65535",) * 100,
        bindings=(binding,) * MOST,
        refused=Refusal(deployment=id_, attempt=1, failure=long),
    )
    event = RouteFailed(service=id_, kind="application", state=state, failure=long)
    meta = Meta(id_, SystemClock().now(), Actor("service", "proxy-sync"), id_)
    assert len(codec.to_bytes(NOTHING, [event], meta)) < 0.75 * codec.LIMIT
