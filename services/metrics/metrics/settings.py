"""What metrics is told."""

from pathlib import Path

from slipway.runtime.settings import Settings


class MetricsSettings(Settings):
    nats_user: str = "metrics"
    anchors: Path = Path("/var/lib/slipway/anchors")
    """Where the volume `<instance>_anchors` is mounted: the anchors, and how far logs are read."""
    sample_seconds: float = 10.0
    """Seconds between two samples of a container."""
    retention_seconds: float = 60.0
    """Seconds between two looks at how much the streams that forget have forgotten."""
    reconcile_seconds: float = 10.0
    """Seconds between two looks at which containers there are, beside the engine's events."""
    log_lines_per_second: int = 5_000
    """Of one container; what it prints beyond is dropped, and the log says how much."""
    anchor_commits: int = 1_000
    """An anchor is written after so many commits,"""
    anchor_seconds: float = 60.0
    """or after so many seconds when at least one came."""
