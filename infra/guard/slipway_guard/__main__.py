"""`python -m slipway_guard`: write the rules, and write them again every ten seconds, whatever
happened to them meanwhile. Who is told to end leaves them standing for as long as somebody is
behind them: an update of the guard opens nothing. Only where nobody is left they go with it."""

import os
import signal
import sys
import threading

from slipway.egress import render
from slipway.egress.policy import NotAnEntry

from slipway_guard import facts, rules, settings

_EVERY = 10.0


def keep(own: settings.Settings, stopping: threading.Event) -> None:
    """Until told to end."""
    said = ""
    while not stopping.is_set():
        try:
            rules.apply(_script(own))
            now = "the rules stand"
        except (rules.NotWritten, OSError, ValueError) as error:
            now = f"the rules could not be written: {error}"
        if now != said:
            print(now, flush=True)
            said = now
        stopping.wait(_EVERY if now == "the rules stand" else 1.0)


def leave(own: settings.Settings) -> None:
    """Whoever came meanwhile gets them back: nobody who saw them stand is without them for longer
    than this takes."""
    if rules.anybody_behind(own.bridges):
        return
    rules.apply(render.removal(own.instance))
    if rules.anybody_behind(own.bridges):
        rules.apply(_script(own))


def _script(own: settings.Settings) -> str:
    node = facts.of_node(own.resolvers)
    return render.script(own.instance, own.bridges, own.apart, own.policy, node)


def main() -> int:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        own = settings.read(os.environ)
    except (KeyError, NotAnEntry) as error:
        print(f"the rules stay as they are: {error}", file=sys.stderr)
        return 1
    keep(own, stopping)
    leave(own)
    return 0


if __name__ == "__main__":
    sys.exit(main())
