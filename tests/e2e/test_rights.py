"""Each service's user of the log may do its own work and nothing else: the server refuses it."""

import json
from typing import Any

import pytest
from slipway.contracts import streams

from tests.e2e.engine import container_of, docker
from tests.e2e.instance import service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(60)]

# Runs in the container of the service, with the password that is mounted there. Every message
# would be refused by the stream too, so that a missing permission shows, and harms nothing.
PROGRAM = """
import asyncio, json, os, pathlib, sys
import nats

async def main():
    asked = json.load(sys.stdin)
    user = asked["user"]
    said = []

    async def on_error(error):
        said.append(str(error).lower())

    client = await nats.connect(
        os.environ["SLIPWAY_NATS_URL"], user=user, error_cb=on_error,
        password=pathlib.Path("/run/secrets/nats_password").read_text().strip(),
        inbox_prefix="_INBOX_" + user, allow_reconnect=False,
    )
    unharmful = {"Nats-Expected-Last-Sequence": "1"}
    for subject in asked["publish"]:
        await client.publish(subject, b"{", headers=unharmful)
    for subject in asked["subscribe"]:
        await client.subscribe(subject)
    wanted = {f'publish to "{subject}"' for subject in asked["publish"]}
    wanted |= {f'subscription to "{subject}"' for subject in asked["subscribe"]}

    def unsaid():  # the server says it a moment later
        return sorted(act for act in wanted if not any(act.lower() in line for line in said))

    for _ in range(50):
        if not unsaid():
            break
        await asyncio.sleep(0.1)
    info = await client.request("$JS.API.STREAM.INFO.EVENTS", b"", timeout=5)
    messages = json.loads(info.data)["state"]["messages"]
    await client.close()
    print(json.dumps({"allowed": unsaid(), "messages": messages}))

asyncio.run(main())
"""

ADMINISTRATION = (
    "STREAM.UPDATE.EVENTS", "STREAM.CREATE.OTHER", "STREAM.PURGE.EVENTS", "STREAM.DELETE.EVENTS",
    "STREAM.MSG.DELETE.EVENTS", "STREAM.SNAPSHOT.EVENTS", "STREAM.DELETE.OTHER",
    "CONSUMER.CREATE.EVENTS", "CONSUMER.CREATE.EVENTS.own", "CONSUMER.CREATE.EVENTS.own.evt.>",
    "CONSUMER.DURABLE.CREATE.EVENTS.own",
)  # fmt: skip
KEY_READERS = {"api-gateway", "builder", "deployer"}


def forbidden(name: str) -> list[str]:
    """Subjects that the service may not publish to."""
    categories = {category for own in streams.APPENDS.values() for category in own}
    found = [f"evt.o.{category}.x" for category in sorted(categories - {*streams.APPENDS[name]})]
    kinds = {kind for own in streams.LOG_KINDS.values() for kind in own}
    found += [f"log.o.{kind}.x" for kind in sorted(kinds - {*streams.LOG_KINDS.get(name, ())})]
    found += [f"$JS.API.{request}" for request in ADMINISTRATION]
    for durable in streams.DURABLES:
        where = f"{streams.EVENTS}.{durable.name}"
        found.append(f"$JS.API.CONSUMER.DELETE.{where}")
        found.append(f"$JS.API.CONSUMER.DURABLE.CREATE.{where}")
        if durable.service != name:
            found += [f"$JS.API.CONSUMER.MSG.NEXT.{where}", f"$JS.ACK.{where}.1.1.1.1.1"]
            if name != "api-gateway":  # which asks for them again
                found.append(f"dead.{durable.name}.1")
    found += [f"lease.{other}" for other in (*streams.APPENDS, "projector")]
    found = [subject for subject in found if subject not in streams.BESIDE.get(name, ())]
    found += [f"_INBOX_{other}.x" for other in streams.APPENDS if other != name]
    if name != "api-gateway":
        found.append("key.o")
    if name not in KEY_READERS:
        found += ["$JS.API.DIRECT.GET.KEYS", "$JS.API.DIRECT.GET.KEYS.key.o"]
    return found


@pytest.mark.parametrize("name", streams.APPENDS)
def test_a_service_may_do_its_own_work_only(name: str):
    inboxes = [f"_INBOX_{other}.>" for other in (*streams.APPENDS, "admin") if other != name]
    asked: dict[str, Any] = {
        "user": name,
        "publish": forbidden(name),
        "subscribe": [*inboxes, "_INBOX.>", "$JS.>", "key.>", ">"],
    }
    container = container_of(service(name))
    argv = ["exec", "-i", container, "python", "-c", PROGRAM]
    seen = json.loads(docker(*argv, input_=json.dumps(asked)))
    assert seen["allowed"] == [], f"{name} may"
    assert seen["messages"] > 0, "what it may do works"
