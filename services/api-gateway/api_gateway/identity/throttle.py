"""How often somebody may try to get in: by account, and more generously by address."""

from fastapi import Request
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from slipway.kernel.errors import TooMany

from api_gateway.http.context import address_of

_BY_ACCOUNT = parse("10/minute")
_BY_ADDRESS = parse("60/minute")


class Throttle:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def attempt(self, request: Request, account: str) -> None:
        """Raises TooMany."""
        address = address_of(request) or ""
        if not (
            await self._limiter.hit(_BY_ADDRESS, "address", address)
            and await self._limiter.hit(_BY_ACCOUNT, "account", account)
        ):
            raise TooMany("too many attempts", hint="wait a minute")

    async def succeeded(self, account: str) -> None:
        """Who knows the password is not made to wait for having signed in often."""
        await self._limiter.clear(_BY_ACCOUNT, "account", account)
