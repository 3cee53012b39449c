"""How often what failed is tried again, and after how long: one table of named policies."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_never,
    wait_exponential,
    wait_random_exponential,
)

type Said = Callable[[int, BaseException], None]


@dataclass(frozen=True, slots=True)
class Policy:
    """`first` seconds before the second try, then twice as long each time, at most `longest`;
    `attempts` tries in all, None for as long as the process lives. With `jitter` each pause is
    anything up to that, so that many who failed together do not come back together."""

    first: float
    longest: float
    attempts: int | None
    jitter: bool = False

    async def run[T](
        self,
        do: Callable[[], Awaitable[T]],
        *errors: type[Exception],
        said: Said | None = None,
    ) -> T:
        """What `do` gives. After an error of these types (default: any Exception) it is tried
        again, the last error is raised as it came; others are raised at once. `said` is called
        after each failed try with its number, from 1, and the error."""

        def after(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if said is not None and error is not None:
                said(state.attempt_number, error)

        async def once() -> T:  # tenacity takes a lambda for a function that is not awaited
            return await do()

        wait = wait_random_exponential if self.jitter else wait_exponential
        tries = AsyncRetrying(
            sleep=asyncio.sleep,
            retry=retry_if_exception_type(errors or Exception),
            stop=stop_never if self.attempts is None else stop_after_attempt(self.attempts),
            wait=wait(multiplier=self.first, max=self.longest),
            after=after,
            reraise=True,
        )
        return await tries(once)


CONNECT = Policy(first=0.5, longest=10.0, attempts=None)
"""What has to go on for as long as the process does: the log server, the engine, what may not be
lost. Never for what one input could hold up."""
REACTION = Policy(first=1.0, longest=30.0, attempts=8)
"""The handling of a delivery: 91 s until it is given up."""
OUTCOME = Policy(first=1.0, longest=30.0, attempts=6)
"""Saying that something was given up: 31 s."""
APPEND = Policy(first=0.2, longest=2.0, attempts=5, jitter=True)
"""An append without an answer; the same commit again is safe."""
CONFLICT = Policy(first=0.005, longest=0.5, attempts=20, jitter=True)
"""Somebody else appended first: decide again. One that has no end is a defect, and told."""
