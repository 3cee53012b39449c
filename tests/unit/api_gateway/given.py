"""Given facts, when a command, then facts: how a decider is told and asked."""

from typing import Any

import pytest
from slipway.contracts.event import Event
from slipway.kernel.decider import Decider
from slipway.kernel.errors import DomainError


class Given:
    def __init__(self, decider: Decider[Any, Any, Any], *facts: Event) -> None:
        self._decider = decider
        self.state = decider.fold(facts)

    def when(self, command: Any) -> "When":
        return When(self._decider, self.state, command)


class When:
    def __init__(self, decider: Decider[Any, Any, Any], state: Any, command: Any) -> None:
        self._decider, self._state, self._command = decider, state, command

    def then(self, *facts: Event) -> Any:
        """Exactly these facts follow. The state after them."""
        assert self._decider.decide(self._command, self._state) == facts
        return self._decider.fold(facts, self._state)

    def nothing(self) -> None:
        assert self._decider.decide(self._command, self._state) == ()

    def refused[E: DomainError](self, error: type[E], pointer: str | None = None) -> E:
        with pytest.raises(error) as raised:
            self._decider.decide(self._command, self._state)
        assert raised.value.pointer == pointer
        return raised.value
