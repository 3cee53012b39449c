from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from deployer.recovery.plan import broken, unmoved

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def task(state: str, seconds: float, wanted: str = "running") -> dict[str, Any]:
    at = NOW - timedelta(seconds=seconds)
    since = at.strftime("%Y-%m-%dT%H:%M:%S.123456789Z")  # as the engine writes it
    status = {"State": state, "Timestamp": since}
    return {"ServiceID": f"{state}-{seconds}", "DesiredState": wanted, "Status": status}


@pytest.mark.parametrize("state", ["assigned", "accepted", "preparing"])
def test_a_task_that_does_not_get_on_is_noticed(state: str):
    assert unmoved([task(state, 62)], NOW) == {f"{state}-62"}


@pytest.mark.parametrize(
    "other",
    [
        task("accepted", 58),
        task("accepted", 300, wanted="shutdown"),
        task("starting", 300),  # its health check takes its time
        task("pending", 300),  # no node has room for it
        task("running", 300),
    ],
)
def test_others_are_left_alone(other: dict[str, Any]):
    assert unmoved([other], NOW) == set()


def test_only_a_stream_that_can_not_be_written_to_is_broken():
    full = "JetStream stream '$G > EVENTS' write error: write 1.blk: no space left on device"
    assert broken({"status": "unavailable", "error": full})
    assert not broken({"status": "ok"})
    assert not broken({"status": "unavailable", "error": "JetStream is recovering"})
    assert not broken({})
