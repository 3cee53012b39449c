"""What is made of the errors of a server that can't store what is published."""

from typing import Any, cast

import pytest
from nats.errors import OutboundBufferLimitError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import APIError, BadRequestError, NoStreamResponseError, ServiceUnavailableError
from slipway.eventstore.client import DirectClient
from slipway.eventstore.stream import Inbox, Silent, Stream, WrongLastSequence

FULL = ServiceUnavailableError(503, "insufficient resources", 10077)
REFUSED = BadRequestError(400, "expected stream does not match", 10060)


class Client:
    """Every call of it fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def jetstream(self, **_: Any) -> "Client":
        return self

    def new_inbox(self) -> str:
        return "_INBOX"

    async def publish(self, *_: Any, **__: Any) -> Any:
        raise self._error

    request = publish


def stream(error: Exception) -> Stream:
    client = cast("DirectClient", Client(error))
    return Stream(client, Inbox(client), "EVENTS")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FULL, Silent),
        (APIError(500, "no leader", 10008), Silent),
        (NoStreamResponseError(), Silent),
        (NatsTimeout(), Silent),
        (OutboundBufferLimitError(), Silent),
        (ConnectionResetError(), Silent),
        (BadRequestError(400, "wrong last sequence: 3", 10071), WrongLastSequence),
        (REFUSED, BadRequestError),
    ],
    ids=repr,
)
async def test_what_can_not_be_stored_now_may_be_tried_again(
    error: Exception, told: type[Exception]
):
    with pytest.raises(told):
        await stream(error).publish("evt.o1.project.p1", b"{}", expected=3)


@pytest.mark.parametrize("read", ["last", "extent"])
async def test_a_connection_that_takes_no_more_gives_no_answer(read: str):
    there = stream(OutboundBufferLimitError())
    with pytest.raises(Silent):
        await (there.last("evt.o1.project.p1") if read == "last" else there.extent())
