"""`python -m slipway.eventstore.init`: makes what the streams table says, with the rights of the
admin, and can be run again: what is right is left alone. Services may create none of it."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import nats
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from slipway.contracts import streams
from slipway.contracts.observation import FRESH
from slipway.eventstore.former import FORMER, FormerFormat

DAY = 86400.0
_STARTS = {"all": DeliverPolicy.ALL, "new": DeliverPolicy.NEW}


def stream_settings() -> list[dict[str, Any]]:
    """What is said of each stream; everything else is the server's default."""
    base: dict[str, Any] = {
        "storage": StorageType.FILE,
        "retention": RetentionPolicy.LIMITS,
        "allow_direct": True,
        "num_replicas": 1,
    }
    return [
        # The truth: nothing ever leaves it, and it refuses rather than forgets.
        dict(
            name=streams.EVENTS,
            subjects=["evt.>"],
            discard=DiscardPolicy.NEW,
            deny_delete=True,
            deny_purge=True,
            duplicate_window=120,
            **base,
        ),
        dict(
            name=streams.LOGS,
            subjects=["log.>"],
            discard=DiscardPolicy.OLD,
            max_age=14 * DAY,
            max_bytes=1 << 30,
            max_msgs_per_subject=20_000,
            **base,
        ),
        dict(
            name=streams.TELEMETRY,
            subjects=["met.>"],
            discard=DiscardPolicy.OLD,
            max_age=1 * DAY,
            max_bytes=256 << 20,
            **base,
        ),
        # Each bucket says for how long, message by message.
        dict(
            name=streams.OBJECTS,
            subjects=["obj.>"],
            max_msgs_per_subject=1,
            allow_msg_ttl=True,
            **base,
        ),
        dict(
            name=streams.KEYS,
            subjects=["key.*"],
            discard=DiscardPolicy.NEW,
            deny_delete=True,
            **base,
        ),
        # A letter is asked for again, or has been read, long before.
        dict(
            name=streams.DEAD,
            subjects=["dead.>"],
            max_msgs_per_subject=1,
            max_age=90 * DAY,
            **base,
        ),
        dict(name=streams.LEASES, subjects=["lease.*"], max_msgs_per_subject=1, **base),
        # All of it is told again before: what is older tells nothing.
        dict(
            name=streams.OBSERVED,
            subjects=["observed"],
            discard=DiscardPolicy.OLD,
            max_age=FRESH,
            max_bytes=64 << 20,
            **base,
        ),
    ]


async def _refuse_former(js: JetStreamContext) -> None:
    try:
        found = await js.stream_info(streams.EVENTS, subjects_filter=FORMER)
    except NotFoundError:
        return
    if found.state.subjects:
        raise FormerFormat


async def make(js: JetStreamContext) -> list[str]:
    """What was made or changed, a line each. Raises FormerFormat."""
    await _refuse_former(js)
    done = []
    for settings in stream_settings():
        name, config = settings["name"], StreamConfig(**settings)
        try:
            there = (await js.stream_info(name)).config
        except NotFoundError:
            await js.add_stream(config)
            done.append(f"stream {name} made")
            continue
        if any(getattr(there, field) != value for field, value in settings.items()):
            await js.update_stream(config)
            done.append(f"stream {name} changed")
    consumers = {info.name: info.config for info in await js.consumers_info(streams.EVENTS)}
    for durable in streams.DURABLES:
        former = consumers.get(durable.name)
        if former is not None and _filters(former) == sorted(durable.filters):
            continue
        await js.add_consumer(
            streams.EVENTS,
            ConsumerConfig(
                durable_name=durable.name,
                filter_subjects=durable.filters,
                # Where it began can't be changed, and is over.
                deliver_policy=former.deliver_policy if former else _STARTS[durable.start],
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=30,
                max_ack_pending=10_000,
                max_deliver=-1,
            ),
        )
        done.append(f"consumer {durable.name} {'changed' if former else 'made'}")
    return done


def _filters(config: ConsumerConfig) -> list[str]:
    one = [config.filter_subject] if config.filter_subject else []
    return sorted(config.filter_subjects or one)


async def main(url: str, password: str) -> None:
    client = await nats.connect(url, user="admin", password=password, max_reconnect_attempts=60)
    try:
        for line in await make(client.jetstream(timeout=10)):
            sys.stdout.write(line + "\n")
    except FormerFormat as error:
        sys.exit(f"{error}\n{error.hint}")
    finally:
        await client.close()


if __name__ == "__main__":
    mounted = Path("/run/secrets/nats_password")
    asyncio.run(
        main(
            os.environ.get("SLIPWAY_NATS_URL", "nats://nats:4222"),
            os.environ.get("SLIPWAY_NATS_PASSWORD") or mounted.read_text().strip(),
        )
    )
