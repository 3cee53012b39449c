"""When a service counts as up: as many tasks as wanted run what is specified now."""

from datetime import UTC, datetime, timedelta
from typing import Any

from slipway_install import stack


def service(replicas: int = 1, **container: Any) -> dict[str, Any]:
    return {
        "Spec": {
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Image": "new", **container}},
        }
    }


def task(state: str, image: str = "new") -> dict[str, Any]:
    return {"Status": {"State": state}, "Spec": {"ContainerSpec": {"Image": image}}}


def test_one_that_runs_is_up():
    assert stack._converged(service(), [task("running"), task("failed"), task("shutdown", "old")])


def test_one_that_starts_is_not():
    assert not stack._converged(service(), [task("starting")])


def test_the_former_one_must_be_gone():
    assert not stack._converged(service(), [task("running"), task("running", "old")])


def test_an_update_that_goes_on_is_not():
    updating = service() | {"UpdateStatus": {"State": "updating"}}
    assert not stack._converged(updating, [task("running")])


def test_none_wanted_and_none_there():
    assert stack._converged(service(0), [task("shutdown")])


def test_one_on_every_node_is_up_when_it_runs():
    everywhere = service()
    everywhere["Spec"]["Mode"] = {"Global": {}}
    assert not stack._converged(everywhere, [])
    assert not stack._converged(everywhere, [task("running"), task("starting")])
    assert stack._converged(everywhere, [task("running"), task("running"), task("shutdown")])


def test_empty_fields_that_the_engine_adds_change_nothing():
    assert stack._converged(service(DNSConfig={}), [task("running")])


def test_a_task_that_does_not_get_on_stands_still():
    def on_its_way(state: str, seconds: float, wanted: str = "running") -> dict[str, Any]:
        at = datetime.now(UTC) - timedelta(seconds=seconds)
        since = at.strftime("%Y-%m-%dT%H:%M:%S.123456789Z")  # as the engine writes it
        return {"DesiredState": wanted, "Status": {"State": state, "Timestamp": since}}

    assert stack._stands_still([on_its_way("accepted", 22)])
    assert not stack._stands_still([on_its_way("accepted", 15)])
    assert not stack._stands_still([on_its_way("starting", 22)])
    assert not stack._stands_still([on_its_way("preparing", 22, wanted="shutdown")])
