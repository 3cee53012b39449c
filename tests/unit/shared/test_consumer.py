"""What a reading by a consumer makes of what comes, and of what does not."""

import pytest
from slipway.eventstore.consumer import _Reading
from slipway.eventstore.stream import Silent


def reading(asked: int, *numbers: int) -> _Reading:
    found = _Reading()
    found.asked = asked
    for number in numbers:
        reply = f"$JS.ACK.EVENTS.rebuild-0.1.{number + 40}.{number}.1795000000.7"
        found.arrived(b"evt.org.project.a", reply.encode(), b"", b"{}")
    return found


def status(found: _Reading, line: str, *more: str) -> None:
    found.arrived(b"inbox", b"", "\r\n".join([f"NATS/1.0 {line}", *more, "", ""]).encode(), b"")


async def test_a_page_is_what_was_asked_for():
    page = await reading(3, 1, 2, 3).page()
    assert [message.sequence for message in page] == [41, 42, 43]


async def test_what_was_lost_on_the_way_is_no_gap_of_the_log():
    with pytest.raises(Silent, match="lost on the way"):
        await reading(3, 1, 3).page()


async def test_a_request_may_be_over_before_it_has_brought_all():
    found = reading(500, 1, 2)
    status(found, "409 Message Size Exceeds MaxBytes", "Nats-Pending-Messages: 498")
    assert (len(await found.page()), found.asked) == (2, 0)


@pytest.mark.parametrize("line", ["409 Consumer Deleted", "409 Server Shutdown"])
async def test_a_consumer_that_is_gone_ends_the_reading(line: str):
    found = reading(500, 1, 2)
    status(found, line, "Nats-Pending-Messages: 498")
    with pytest.raises(Silent, match=line):
        await found.page()


async def test_nothing_more_is_told():
    found = reading(2)
    status(found, "408 Request Timeout", "Nats-Pending-Messages: 2")
    with pytest.raises(Silent, match="no more"):
        await found.page()
