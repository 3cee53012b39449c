"""The decider: what may happen, as two pure functions and a beginning."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


def _never(_state: object) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Decider[S, C, E]:
    """One aggregate's rules.

    `decide(command, state)` gives the facts that follow, `()` when the command was already
    carried out, or raises a `DomainError`. `evolve(state, event)` gives the next state.
    Neither reads a clock, makes ids or awaits: times and ids arrive inside the command.
    """

    category: str
    initial: S
    decide: Callable[[C, S], tuple[E, ...]]
    evolve: Callable[[S, E], S]
    gone: Callable[[S], bool] = _never
    """Whether it was made once and is there no more: deleted, revoked, closed."""

    def fold(self, events: Iterable[E], state: S | None = None) -> S:
        current = self.initial if state is None else state
        for event in events:
            current = self.evolve(current, event)
        return current
