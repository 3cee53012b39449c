"""What an Idempotency-Key was used for where nothing is appended: known as long as this process
lives."""

from collections import OrderedDict

from api_gateway.request_context import RequestContext

_REMEMBERED = 1000


class Asked:
    def __init__(self, *_: object) -> None:
        self._requests: OrderedDict[str, str] = OrderedDict()

    def before(self, ctx: RequestContext) -> bool:
        """Whether this very request came before; it did from now on. Raises KeyReused."""
        if not ctx.keyed:
            return False
        if (former := self._requests.get(ctx.id)) is not None:
            ctx.same_request(former)
            return True
        self._requests[ctx.id] = ctx.request
        if len(self._requests) > _REMEMBERED:
            self._requests.popitem(last=False)
        return False
