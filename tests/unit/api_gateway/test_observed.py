"""What the gateway keeps of what was seen, and what it says of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_gateway import observed
from api_gateway.observed import Observed, Seen
from api_gateway.services.render import Status, status, waits_for, workloads
from slipway.contracts.observation import FRESH, Count, Observation
from slipway.contracts.rollout import RolloutState
from slipway.testing import releases

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = {"s-web": Count(running=1, healthy=1)}
TWO = {"s-web": Count(running=2, healthy=1)}


def seen(*services: str, after: float = 0.0, counts: dict[str, Count] = ONE) -> Observation:
    at = NOW + timedelta(seconds=after)
    return Observation(at=at, services=dict.fromkeys(services, counts))


def test_the_last_look_counts_until_it_is_old():
    kept = Observed()
    assert kept.of("a", NOW) == Seen()
    kept.put(seen("a"))
    kept.put(seen("a", after=1, counts=TWO))
    at = NOW + timedelta(seconds=1)
    assert kept.of("a", at + timedelta(seconds=FRESH)) == Seen(at, TWO)
    assert kept.of("a", at + timedelta(seconds=FRESH + 0.1)) == Seen(at, None)
    assert kept.of("a", NOW - timedelta(minutes=1)) == Seen(at, None), "a clock that was set"


def test_what_nobody_tells_of_any_more_is_forgotten():
    kept = Observed()
    kept.put(seen("gone", "stays"))
    for minute in range(12):
        kept.put(seen("stays", after=60.0 * minute))
    assert kept.of("gone", NOW).at is None
    assert len(kept) == 1


def test_it_has_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(observed, "MOST", 2)
    kept = Observed()
    kept.put(seen("a", "b"))
    kept.put(seen("a", "c", after=1))
    assert [bool(kept.of(name, NOW).at) for name in "abc"] == [True, False, True]


@pytest.mark.parametrize(
    ("wanted", "count", "said"),
    [
        (0, None, "stopped"),
        (0, (1, 1), "stopped"),
        (1, None, "unknown"),
        (1, (0, 0), "not running"),
        (1, (1, 0), "starting"),
        (2, (2, 1), "degraded"),
        (2, (2, 2), "running"),
        (1, (2, 2), "running"),
    ],
)
def test_what_is_said_of_a_workload(wanted: int, count: tuple[int, int] | None, said: Status):
    found = Count(running=count[0], healthy=count[1]) if count else None
    assert status(wanted, found) == said


STATE = {"replicas": {}, "stopped": False, "phase": "active"}


@pytest.mark.parametrize(
    ("holds", "former", "next_", "shown"),
    [
        ("volume:data", 1, 0, (1, "running")),
        ("volume:data", 0, 0, (0, "not running")),
        ("volume:data", 0, 1, (1, "running")),
        ("", 0, 1, (0, "not running")),
        ("workload:main", 0, 1, (1, "running")),
        ("", 1, 1, (1, "running")),
    ],
)
def test_what_took_over_what_the_former_held_is_what_is_shown(
    holds: str, former: int, next_: int, shown: tuple[int, Status]
):
    """What is to stop first takes over the place of any."""
    held = (holds,) if holds else ()
    former_held = () if holds.startswith("workload") else held
    both = [releases.release("d1", holds=former_held), releases.release("d2", holds=held)]
    rollout = RolloutState(serving=both[0], wanted=both[1]).model_dump()
    counts = {
        f"s-d{n}": Count(running=each, healthy=each) for n, each in enumerate((former, next_), 1)
    }
    (found,) = workloads(STATE, rollout, NOW, counts)
    assert (found["replicas"]["running"], found["status"]) == shown


def test_of_what_is_being_deleted_nothing_is_wanted():
    rollout = RolloutState(serving=releases.release("d1")).model_dump()
    (found,) = workloads({**STATE, "phase": "deleting"}, rollout, NOW, {})
    assert (found["replicas"]["wanted"], found["status"]) == (0, "stopped")


def test_one_that_has_a_volume_is_wanted_once():
    serving = releases.release("d1", holds=("volume:data",)).model_dump()
    (shown,) = workloads({**STATE, "replicas": {"main": 3}}, {"serving": serving}, *Seen())
    assert shown["replicas"]["wanted"] == 1


@pytest.mark.parametrize(
    ("phase", "rollout", "words"),
    [
        ("active", {}, None),
        ("active", {"waiting": {"words": "a node: none"}}, "a node: none"),
        ("active", {"waiting": {"words": ""}}, None),
        ("active", {"waiting": {"words": "no"}, "reverting": {"outcome": "failed"}}, None),
        ("deleting", {}, "its routes to go, and what runs of it to be taken away"),
        ("deleting", {"removing": "T"}, "its containers, which end by force after T"),
    ],
)
def test_what_it_waits_for_is_said(phase: str, rollout: dict[str, Any], words: str | None):
    assert waits_for({"phase": phase}, rollout) == words
