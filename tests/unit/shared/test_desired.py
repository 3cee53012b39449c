"""What is wanted of a service, from its events."""

from slipway.contracts.desired import DesiredService, evolve
from slipway.contracts.service import (
    ServiceCreated,
    ServiceDeleted,
    ServiceDeletionRequested,
    ServiceRenamed,
    ServiceScaled,
    ServiceStarted,
    ServiceStopped,
)
from slipway.contracts.values import ApplicationSettings, ImageSource, Sealed

CREATED = ServiceCreated(
    project="p", environment="e", name="web",
    settings=ApplicationSettings(source=ImageSource(image="web:1")),
    webhook_token=Sealed(key="gateway", text=""), webhook_hash="",
)  # fmt: skip
NEW = evolve(DesiredService(), [CREATED])


def test_a_new_service_runs_as_its_workloads_say():
    assert DesiredService("e", "application", {}, stopped=False, deleting=False) == NEW


def test_only_what_acts_at_once_changes_it():
    assert evolve(NEW, [ServiceRenamed(name="site")]) == NEW
    assert evolve(NEW, [ServiceScaled(replicas=3)]).replicas == {"main": 3}
    stopped = evolve(NEW, [ServiceStopped()])
    assert stopped.stopped
    assert evolve(stopped, [ServiceStarted()]) == NEW


def test_each_workload_is_scaled_by_itself():
    events = [
        ServiceScaled(workload=name, replicas=n) for name, n in (("a", 2), ("b", 0), ("a", 4))
    ]
    assert evolve(NEW, events).replicas == {"a": 4, "b": 0}


def test_folded_in_two_parts_it_is_the_same():
    events = [CREATED, ServiceScaled(replicas=2), ServiceStopped(), ServiceScaled(replicas=5)]
    for at in range(len(events)):
        half = evolve(DesiredService(), events[:at])
        assert evolve(half, events[at:]) == evolve(DesiredService(), events)


def test_a_deletion_has_no_way_back():
    gone = evolve(NEW, [ServiceDeletionRequested(project="p", environment="e"), ServiceStarted()])
    assert gone.deleting
    assert evolve(gone, [ServiceDeleted(project="p", environment="e")]).deleting
