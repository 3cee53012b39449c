"""Aggregates in memory: as many as fit."""

import gc
import tracemalloc
from datetime import UTC, datetime
from typing import Any

from api_gateway.aggregates import Aggregate, AggregateCache
from api_gateway.deployments.domain import DEPLOYMENT
from api_gateway.projects.domain import PROJECT
from slipway.contracts.deployment import DeploymentRequested, Trigger
from slipway.contracts.event import Event
from slipway.contracts.project import ProjectCreated, ProjectRenamed
from slipway.contracts.values import (
    ApplicationSettings,
    ImageSource,
    ScopedVariables,
    Specification,
    Variable,
)
from slipway.eventstore import codec
from slipway.eventstore.store import Commit
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.kernel.ids import derived

AT = datetime(2026, 1, 2, tzinfo=UTC)
MIB = 1024**2


def deployment(number: int, values: int = 40) -> DeploymentRequested:
    items = tuple(
        Variable(name=f"VARIABLE_{index}", value=f"{number} {index} " + "x" * 90)
        for index in range(values)
    )
    specification = Specification(
        name="web",
        settings=ApplicationSettings(source=ImageSource(image="nginx")),
        variables=(ScopedVariables(scope="service", items=items),),
    )
    return DeploymentRequested(
        project=derived("p", number), environment=derived("e", number),
        service=derived("s", number), kind="application", specification=specification,
        trigger=Trigger(kind="manual"),
    )  # fmt: skip


def aggregate(decider: Decider[Any, Any, Any], number: int, *events: Event) -> Aggregate:
    """One commit for each event, as they come from the log."""
    found, head = Aggregate(decider.initial), NOTHING
    for index, event in enumerate(events):
        id_ = derived("commit", number, index)
        meta = Meta(id_, AT, Actor("user", "u1"), id_, None, f"{id_}:{index}")
        subject = str(Subject("o1", decider.category, derived(number)))
        commit: Commit = codec.from_bytes(
            subject, number + index + 1, codec.to_bytes(head, [event], meta)
        )
        found, head = found.followed_by([commit], decider), commit.head
    return found


def subject(number: int) -> Subject:
    return Subject("o1", "deployment", derived(number))


def test_what_was_not_asked_for_longest_goes_first():
    one = aggregate(DEPLOYMENT, 1, deployment(1))
    cache = AggregateCache(largest=int(2.5 * one.size))
    cache.keep(subject(1), one)
    cache.keep(subject(2), aggregate(DEPLOYMENT, 2, deployment(2)))
    assert cache.get(subject(1)) is one
    cache.keep(subject(3), aggregate(DEPLOYMENT, 3, deployment(3)))
    assert [subject(number) in cache for number in (1, 2, 3)] == [True, False, True]
    assert 0 < cache.size <= 2.5 * one.size


def test_what_is_too_large_is_not_kept():
    cache = AggregateCache(largest=10_000)
    cache.keep(subject(1), aggregate(DEPLOYMENT, 1, deployment(1, values=400)))
    assert (len(cache), cache.size) == (0, 0)


def test_an_older_one_does_not_take_the_place_of_a_newer():
    cache = AggregateCache()
    made = ProjectCreated(name="A", environment="e1")
    newer = aggregate(PROJECT, 1, made, ProjectRenamed(name="B"))
    cache.keep(subject(1), newer)
    size = cache.size
    cache.keep(subject(1), aggregate(PROJECT, 1, made))
    assert cache.get(subject(1)) is newer
    assert cache.size == size
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)


def test_it_takes_no_more_memory_than_it_may():
    """Of large ones and small ones, with many requests and few."""
    for make in (
        lambda number: aggregate(DEPLOYMENT, number, deployment(number)),
        lambda number: aggregate(DEPLOYMENT, number, deployment(number, values=0)),
        lambda number: aggregate(
            PROJECT, number, ProjectCreated(name="A", environment=derived(number)),
            *(ProjectRenamed(name=f"Project {index}") for index in range(60)),
        ),
    ):  # fmt: skip
        make(0)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        cache = AggregateCache(largest=MIB)
        number = 1
        while len(cache) == number - 1:  # until the first one goes
            cache.keep(subject(number), make(number))
            number += 1
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert 0.3 * MIB < taken < MIB, (taken, number)


def test_what_is_kept_of_commits_is_little():
    many = aggregate(
        PROJECT, 1, ProjectCreated(name="A", environment="e1"),
        *(ProjectRenamed(name=str(index)) for index in range(300)),
    )  # fmt: skip
    assert len(many.requests) == 200
    assert many.origin is not None
    assert (many.origin.sequence, many.origin.actor) == (2, Actor("user", "u1"))
