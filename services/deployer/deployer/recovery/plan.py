"""What a full disk leaves behind that does not mend itself once there is room again. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

OVERDUE = timedelta(seconds=60)
_ON_THE_WAY = ("assigned", "accepted", "preparing")
"""Between the manager's choice of a node and the container's creation. Images are on the node
already, so this takes a second; `starting` may last as long as a health check lets it."""


def unmoved(tasks: Sequence[Mapping[str, Any]], now: datetime) -> set[str]:
    """Ids of the services with a task that is wanted and has not got on for a minute.

    A node that can't write to its disk loses how a task ended. The manager waits for it for ever
    (seen with engine 28: refused on the node, `accepted` at the manager).
    """
    return {
        task["ServiceID"]
        for task in tasks
        if task.get("DesiredState") == "running"
        and task["Status"]["State"] in _ON_THE_WAY
        and now - datetime.fromisoformat(task["Status"]["Timestamp"]) > OVERDUE
    }


def broken(health: Mapping[str, Any]) -> bool:
    """Whether the log server answers so of a stream that it can't write to any more. It does not
    try again: what was acknowledged is on the disk, and read anew when it starts."""
    return health.get("status") != "ok" and "write error" in str(health.get("error"))
