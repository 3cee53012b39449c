"""Structured logs: one JSON object a line on stdout, with secrets redacted by field name."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict

_SECRET = ("password", "token", "secret", "authorization", "cookie", "private")


def _redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for name in event:
        if any(word in name.lower() for word in _SECRET):
            event[name] = "***"
    return event


def configure(service: str, level: str) -> None:
    """Call once, at start. Standard-library loggers go the same way, from WARNING up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            _redact,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(component=service)
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(name)s: %(message)s")


def logger(**values: Any) -> Any:
    return structlog.get_logger(**values)
