"""Each step on one line, with its duration in seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Step:
    def __init__(self) -> None:
        self.note = ""


@contextmanager
def step(name: str) -> Iterator[Step]:
    """Show `name` with its duration when the block ends well; `.note` is added to the line."""
    current = Step()
    began = time.monotonic()
    if sys.stdout.isatty():
        print(f"{name} …", end="\r", flush=True)
    yield current
    note = f"  {current.note}" if current.note else ""
    print(f"{name:<34} {time.monotonic() - began:5.1f} s{note}", flush=True)
