"""An actor's errors: how long it waits after them, and when they are enough."""

_SHORTEST = 0.2
_DOUBLINGS = 10


class Trouble:
    """Counts the errors of each of an actor's steps.

    No policy of `retry` does: before an actor tries a step again it looks at everything anew, other
    steps may go well in between, and where there is nothing to fail (drift, a removal) it goes on
    for as long as the service is there.
    """

    ENOUGH = 5

    def __init__(self, longest: float = 30.0) -> None:
        """`longest`: seconds, the cap of a wait."""
        self._longest = longest
        self._errors: dict[str, int] = {}

    def met(self, step: str) -> int:
        """One more error of the step: how many there are now, without a success between them."""
        self._errors[step] = self._errors.get(step, 0) + 1
        return self._errors[step]

    def over(self, *steps: str) -> None:
        """They went well."""
        for step in steps:
            self._errors.pop(step, None)

    def forget(self) -> None:
        """What comes now is another thing."""
        self._errors.clear()

    def wait(self, step: str) -> float:
        """Seconds until the step may be tried again."""
        doublings = min(self._errors.get(step, 0), _DOUBLINGS)
        return min(self._longest, _SHORTEST * 2.0**doublings)

    def worth_saying(self, step: str) -> bool:
        """The first error, the second, the fourth, the eighth …: what lasts is said rarely."""
        count = self._errors.get(step, 0)
        return count & (count - 1) == 0
