"""An event as the outside sees it: CloudEvents 1.0, and only the fields its type calls public;
nothing sealed is in them."""

from typing import Any

from slipway.contracts.event import PUBLIC, Event, Unknown
from slipway.eventstore.store import Commit
from slipway.runtime.clock import iso


def cloud_event(commit: Commit, index: int, event: Event) -> dict[str, Any]:
    data = event.model_dump(mode="json", include=set(event.public), context=PUBLIC)
    return {
        "specversion": "1.0",
        "id": commit.event_id(index),
        "type": event.name if isinstance(event, Unknown) else event.type,
        "source": f"/{commit.subject.organization}/{commit.subject.category}",
        "subject": commit.subject.id,
        "time": iso(commit.meta.at),
        "datacontenttype": "application/json",
        "correlation": commit.meta.correlation,
        "actor": f"{commit.meta.actor.kind}/{commit.meta.actor.id}",
        "data": data,
    }
