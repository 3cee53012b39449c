"""`python -m slipway_guard`: write the rules, and write them again every ten seconds, and at once
when somebody else changed them. Who is told to end leaves them standing for as long as somebody is
behind them: an update of the guard opens nothing. Only where nobody is left they go with it.
Beside that the ports of the workloads' bridge are isolated."""

import os
import signal
import sys
import threading
import time

from slipway.egress import render
from slipway.egress.policy import NotAnEntry

from slipway_guard import changes, facts, ports, rules, settings

_EVERY = 10.0


_STAND = "the rules stand"
_PAUSE = 0.2
"""Seconds: many changes in a row, as the engine makes them, are one look."""


def keep(own: settings.Settings, stopping: threading.Event, changed: threading.Event) -> None:
    """Until told to end. `changed`: something happened to some rules, or it is told to end."""
    said = ""
    while not stopping.is_set():
        script = ""
        try:
            script = _script(own)
            rules.apply(script)
            now = _STAND
        except (rules.NotWritten, OSError, ValueError) as error:
            now = f"the rules could not be written: {error}"
        if now != said:
            print(now, flush=True)
            said = now
        if now != _STAND:
            stopping.wait(1.0)
        elif _changed(own, script, stopping, changed):
            said = "somebody changed the rules"
            print(said, flush=True)
            stopping.wait(_PAUSE)


def _changed(
    own: settings.Settings, script: str, stopping: threading.Event, changed: threading.Event
) -> bool:
    """Waits until it is time to write them again, or somebody changed them, or the node: the engine
    changes rules of its own with each of its bridges."""
    table = render.table(own.instance)
    try:
        stood = rules.standing(table)
        until = time.monotonic() + _EVERY
        while (left := until - time.monotonic()) > 0 and changed.wait(left):
            if stopping.wait(_PAUSE):
                break
            changed.clear()
            if rules.standing(table) != stood:
                return True
            if _script(own) != script:
                break
    except rules.NotWritten:
        return True
    return False


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
    stopping, changed, plugged = threading.Event(), threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        for each in (stopping, changed, plugged):
            each.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        own = settings.read(os.environ)
    except (KeyError, NotAnEntry) as error:
        print(f"the rules stay as they are: {error}", file=sys.stderr)
        return 1
    for target, arguments in (
        (changes.follow, (changes.RULES, changed.set)),
        (changes.follow, (changes.DEVICES, plugged.set)),
        (ports.keep, (own.apart, stopping, plugged)),
    ):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    keep(own, stopping, changed)
    leave(own)
    return 0


if __name__ == "__main__":
    sys.exit(main())
