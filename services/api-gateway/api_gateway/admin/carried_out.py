"""What an Idempotency-Key was used for where nothing is appended: known as long as this process
lives."""

from collections import OrderedDict

from api_gateway.request_context import RequestContext

_REMEMBERED = 1000


class CarriedOut:
    def __init__(self, *_: object) -> None:
        self._requests: OrderedDict[str, str] = OrderedDict()

    def holds(self, ctx: RequestContext) -> bool:
        """Whether this very request was carried out before. Raises KeyReused."""
        former = self._requests.get(ctx.id) if ctx.keyed else None
        ctx.same_request(former)
        return former is not None

    def note(self, ctx: RequestContext) -> None:
        """It has been carried out. One that was refused is not noted: its repeat is tried."""
        if ctx.keyed:
            self._requests[ctx.id] = ctx.request
            if len(self._requests) > _REMEMBERED:
                self._requests.popitem(last=False)
