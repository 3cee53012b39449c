"""Everything of metrics, built by hand."""

import asyncio

from slipway.contracts import streams
from slipway.eventstore.jetstream import connect
from slipway.runtime.clock import SystemClock
from slipway.runtime.process import until

from metrics.adapters.engine import Engine
from metrics.adapters.event_log import EventLog
from metrics.adapters.files import LineFile, StateFile
from metrics.adapters.run_logs import RunLogs
from metrics.adapters.telemetry import Telemetry
from metrics.anchors.react import Anchors
from metrics.logs.ledger import Ledger
from metrics.logs.react import Logs
from metrics.retention.react import Retention
from metrics.sampling.react import Sampling
from metrics.settings import MetricsSettings


async def main(stopping: asyncio.Event) -> None:
    settings = MetricsSettings()
    settings.anchors.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    connection = await connect(
        settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value()
    )
    lines = RunLogs(connection.stream(streams.LOGS))
    events = EventLog(connection.stream(streams.EVENTS))
    engine = Engine(settings.instance)
    ledger = Ledger(lines, StateFile(settings.anchors / "log-positions.json"))
    logs = Logs(engine, ledger, settings.log_lines_per_second, settings.reconcile_seconds)
    telemetry = Telemetry(connection)
    sampling = Sampling(engine, telemetry, clock, settings.sample_seconds)
    limited = {name: connection.stream(name) for name in streams.LIMITED}
    retention = Retention(limited, telemetry, clock, settings.retention_seconds)
    anchors = Anchors(
        events,
        LineFile(settings.anchors / "anchors.jsonl"),
        connection.store,
        clock,
        settings.anchor_commits,
        settings.anchor_seconds,
    )
    try:
        await until(stopping, logs.run(), sampling.run(), retention.run(), anchors.run())
    finally:
        await engine.close()
        await connection.close()
