"""Logs from before the first release: they call the unit by another name, and are not read."""

from slipway.eventstore.stream import Stream

FORMER = "evt.*.application.>"


class FormerFormat(Exception):
    """This log was written before the first release, in a form that is not read any more."""

    hint = (
        "to start anew, with nothing of it kept: make purge, then make up. "
        "To keep it: go back to the version that wrote it"
    )

    def __init__(self) -> None:
        super().__init__(
            "the event log was written by a version before the first release, "
            "in a form that this one does not read"
        )


async def refuse_former(events: Stream) -> None:
    """Raises FormerFormat. One question, whatever the log holds."""
    if await events.batch(1, FORMER, 1):
        raise FormerFormat
