"""Category alert. Written by metrics."""

from slipway.contracts.event import Event


class AlertRaised(Event):
    type = "alert.raised"
    public = frozenset({"what", "detail"})
    what: str
    detail: str
