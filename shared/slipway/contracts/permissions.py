"""The server's configuration, with each service's rights, rendered from the streams table.

`python -m slipway.contracts.permissions`: a JSON object of user → password on standard input,
the configuration on standard output.
"""

import json
import sys
from collections.abc import Mapping

from slipway.contracts import streams

SERVICES = tuple(streams.APPENDS)
USERS = ("admin", *SERVICES)
_READ = (
    streams.EVENTS,
    streams.LOGS,
    streams.OBJECTS,
    streams.KEYS,
    streams.LEASES,
    streams.TELEMETRY,
    streams.DEAD,
    streams.OBSERVED,
)
_READERS = {
    streams.KEYS: ("api-gateway", "builder", "deployer"),
    streams.OBSERVED: ("api-gateway",),
}
"""Of those that not all read."""


def publishes(service: str) -> list[str]:
    """What a service may publish: its own categories, its logs, and the requests by which it
    reads. It may create, change or delete no stream, and no consumer but its `READERS`."""
    allowed = [f"evt.*.{category}.*" for category in streams.APPENDS[service]]
    allowed += [f"log.*.{kind}.*" for kind in streams.LOG_KINDS.get(service, ())]
    allowed += streams.BESIDE.get(service, ())
    for stream in _READ:
        if service in _READERS.get(stream, SERVICES):
            allowed += [f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}.>"]
    allowed.append(f"$JS.API.STREAM.INFO.{streams.EVENTS}")
    allowed += [f"$JS.API.STREAM.INFO.{name}" for name in streams.LISTED.get(service, ())]
    for durable in streams.DURABLES:
        if durable.service == service:
            name = f"{streams.EVENTS}.{durable.name}"
            allowed += [
                f"$JS.API.CONSUMER.MSG.NEXT.{name}",
                f"$JS.API.CONSUMER.INFO.{name}",
                f"$JS.ACK.{name}.>",
                f"dead.{durable.name}.*",
            ]
    for name in streams.READERS.get(service, ()):
        allowed += [
            f"$JS.API.CONSUMER.{verb}.{streams.EVENTS}.{name}"
            for verb in ("CREATE", "DELETE", "MSG.NEXT")
        ]
    return allowed


def subscribes(service: str) -> list[str]:
    """Its own inboxes, and the wake-ups of what it follows."""
    observed = ["observed"] if service in _READERS[streams.OBSERVED] else []
    return [f"_INBOX_{service}.>", "evt.>", "log.>", "dead.>", *observed]


def render(passwords: Mapping[str, str]) -> str:
    """nats.conf; raises KeyError for a user without a password."""

    def quoted(items: list[str]) -> str:
        return json.dumps(items)

    lines = [
        'server_name: "slipway"',
        "listen: 0.0.0.0:4222",
        "http: 0.0.0.0:8222",
        "max_payload: 1MB",
        "jetstream {",
        '  store_dir: "/data"',
        "  # What is acknowledged is on the disk.",
        "  sync_interval: always",
        "}",
        "authorization {",
        "  users: [",
        f'    {{user: "admin", password: {json.dumps(passwords["admin"])}}}',
    ]
    for service in SERVICES:
        lines += [
            f'    {{user: "{service}", password: {json.dumps(passwords[service])}, permissions: {{',
            f"      publish: {{allow: {quoted(publishes(service))}}},",
            f"      subscribe: {{allow: {quoted(subscribes(service))}}}",
            "    }}",
        ]
    return "\n".join([*lines, "  ]", "}", ""])


if __name__ == "__main__":
    sys.stdout.write(render(json.load(sys.stdin)))
