"""What the proxy shall have, and what is said of it: one service from its first release on."""

from dataclasses import replace
from typing import Any

import pytest
from proxy_sync.routing import plan
from proxy_sync.routing.domain import Answers, Probe, Routing, TaskAddress, View
from slipway.contracts.host import Bound
from slipway.contracts.rollout import Release, RolloutState, Task
from slipway.contracts.route import Binding, Refusal, RouteState, Served
from slipway.contracts.values import BuiltImage, Failure
from slipway.contracts.workload import MAIN
from slipway.testing import releases

HOST = Bound("dom", "app.example.org", "/", None)
BINDING = Binding(domain="dom", host="app.example.org", path="/", workload=MAIN, port=8000)
OLD, NEW = "d1", "d2"
T1 = TaskAddress("t1", f"s-{OLD}", "10.0.0.1", running=True)
T2 = TaskAddress("t2", f"s-{NEW}", "10.0.0.2", running=True)
FAILURE = Failure(reason="no-answer", detail="silent")


def release(deployment: str, **more: Any) -> Release:
    main = {"port": 8000, "settle_seconds": 5.0, **more}
    return releases.release(deployment, int(deployment[1:]), **main)


def serving(deployment: str) -> dict[str, Any]:
    name = f"s-{deployment}"
    served = (Served(workload=MAIN, swarm_service=name),)
    return {
        "environment": "env", "deployment": deployment, "attempt": 1,
        "served": served, "named": (name,),
    }  # fmt: skip


def routed(deployment: str = OLD, *addresses: str, **more: Any) -> RouteState:
    return RouteState(
        **serving(deployment), addresses=addresses or ("10.0.0.1",), bindings=(BINDING,), **more
    )


def on(address: str, workload: str = MAIN) -> tuple[str, str]:
    return workload, address


def good(task: TaskAddress, since: float, **more: Any) -> dict[tuple[str, int], Answers]:
    return {(task.id, 8000): Answers(good_since=since, last=since, **more)}


def first(**more: Any) -> View:
    """A first release, ready; nothing serves."""
    state = RolloutState(environment="env", wanted=release(NEW), ready=True)
    base = View("app", 100.0, state, RouteState(), bound=(HOST,), tasks=(T2,), began=100.0)
    return replace(base, **more)


def second(**more: Any) -> View:
    """A second release, ready, while the first one serves."""
    state = RolloutState(environment="env", serving=release(OLD), wanted=release(NEW), ready=True)
    base = View(
        "app", 100.0, state, routed(), route_event="route.activated", bound=(HOST,),
        tasks=(T1, T2), began=100.0,
    )  # fmt: skip
    return replace(base, **more)


def steady(**more: Any) -> View:
    state = RolloutState(environment="env", serving=release(OLD))
    base = View(
        "app", 100.0, state, routed(), route_event="route.activated", bound=(HOST,), tasks=(T1,)
    )
    return replace(base, **more)


def switched(view: View, **more: Any) -> View:
    """The proxy has loaded what was planned, and the public addresses have answered."""
    return replace(view, **{"loaded": plan.routing(view), "confirmed": NEW, **more})


def said(view: View) -> plan.RouteStep | None:
    return plan.step(view, plan.routing(view))


def test_a_task_is_asked_before_it_is_routed():
    view = first()
    routing = plan.routing(view)
    assert routing.probes == (Probe("t2", MAIN, "10.0.0.2", 8000, "d2.1"),)
    assert (routing.deployment, routing.bindings, routing.addresses) == (None, (), ())
    assert plan.due(view, routing.probes[0])
    assert said(view) is None


def test_where_none_serves_the_first_answer_switches_and_it_settles_then():
    view = first(asked=good(T2, 100.0), now=100.1)
    routing = plan.routing(view)
    assert (routing.deployment, routing.addresses) == (NEW, (on("10.0.0.2"),))
    assert routing.bindings == (BINDING,)
    assert said(view) == plan.Confirm(NEW)
    assert said(switched(view)) is None, "it has not settled"
    settled = switched(replace(view, now=105.0))
    assert said(settled) == plan.Activate(routed(NEW, "10.0.0.2"))


def test_where_a_former_serves_it_settles_first():
    view = second(asked=good(T2, 100.0), now=104.9)
    assert plan.routing(view).deployment == OLD
    assert plan.routing(view).addresses == (on("10.0.0.1"),)
    view = replace(view, now=105.0)
    assert plan.routing(view).deployment == NEW
    assert plan.routing(view).addresses == (on("10.0.0.2"),)
    assert said(view) == plan.Confirm(NEW)
    assert said(switched(view)) == plan.Activate(routed(NEW, "10.0.0.2"))


def test_one_bad_answer_begins_settling_anew_and_two_fail_it():
    once = second(asked=good(T2, 100.0, bad=1, text="502"), now=103.0)
    assert said(once) is None
    twice = second(asked=good(T2, 100.0, bad=2, text="502"), now=103.0)
    step = said(twice)
    assert isinstance(step, plan.Fail)
    assert step.failure.reason == "stopped-answering"
    assert "502" in step.failure.detail


def test_every_task_has_to_answer():
    other = TaskAddress("t3", f"s-{NEW}", "10.0.0.3", running=True)
    view = second(tasks=(T1, T2, other), asked=good(T2, 90.0), now=100.0)
    assert plan.routing(view).deployment == OLD
    view = replace(view, asked={**view.asked, **good(other, 95.0)})
    assert plan.routing(view).addresses == (on("10.0.0.2"), on("10.0.0.3"))


def test_none_is_left_behind_that_the_deployer_has_seen_run():
    """Else one of two workloads with a domain would answer after the switch, and the other not."""
    seen = tuple(Task(id=id_, workload=MAIN, address="10.0.0.9") for id_ in ("t2", "t3"))
    view = first(asked=good(T2, 100.0), now=100.1, waited=0.2)
    view = replace(view, rollout=view.rollout.model_copy(update={"tasks": seen}))
    assert plan.routing(view).deployment is None, "it is not listed yet"
    other = TaskAddress("t3", f"s-{NEW}", "10.0.0.3", running=False)
    starts = replace(view, tasks=(T2, other))
    assert plan.routing(starts).deployment is None, "as it was a moment ago"
    runs = replace(view, tasks=(T2, replace(other, running=True)))
    assert plan.routing(runs).deployment is None, "it has not answered"
    assert plan.routing(replace(view, waited=3.1)).deployment == NEW, "it was scaled down"
    beside = tuple(each.model_copy(update={"workload": "db"}) for each in seen[1:])
    alone = view.rollout.model_copy(update={"tasks": (seen[0], *beside)})
    assert plan.routing(replace(view, rollout=alone)).deployment == NEW, "no domain leads there"


def test_only_what_domains_lead_to_is_asked_and_routed():
    """Whatever else the deployment runs, and whether that answers."""
    own = release(NEW)
    (main,) = own.workloads
    database = main.model_copy(update={"name": "db", "swarm_service": "s-db", "port": 5432})
    both = own.model_copy(update={"workloads": (main, database)})
    state = RolloutState(environment="env", serving=release(OLD), wanted=both, ready=True)
    beside = TaskAddress("t3", "s-db", "10.0.0.3", running=True)
    led = replace(HOST, workload=MAIN)
    view = second(
        rollout=state,
        bound=(led,),
        tasks=(T1, T2, beside),
        asked=good(T2, 90.0),
        began=90.0,
        now=94.0,
    )
    assert [probe.task for probe in plan.routing(view).probes] == ["t2"]
    view = replace(view, now=95.0)
    assert plan.routing(view).addresses == (on("10.0.0.2"),)
    served = tuple(Served(workload=w, swarm_service=s) for w, s in ((MAIN, "s-d2"), ("db", "s-db")))
    now = routed(NEW, "10.0.0.2").model_copy(update={"served": served, "named": ("s-d2", "s-db")})
    assert said(switched(view)) == plan.Activate(now)
    serving = RolloutState(environment="env", serving=both)
    after = replace(view, rollout=serving, route=now, asked={})
    assert plan.routing(after).probes == ()
    assert plan.routing(after).addresses == (on("10.0.0.2"),)
    assert said(after) is None
    unnamed = plan.routing(replace(after, bound=(led, replace(HOST, domain="x"))))
    assert [(each.domain, each.workload) for each in unnamed.bindings] == [("dom", MAIN), ("x", "")]
    assert {name for name, _ in unnamed.addresses} == {MAIN}, "503 of what names none of several"
    later = replace(after, bound=(led, replace(HOST, domain="x", workload="db")))
    assert [probe.task for probe in plan.routing(later).probes] == ["t3"]
    assert plan.routing(later).addresses == (on("10.0.0.2"),)
    later = replace(later, asked={("t3", 5432): Answers(good_since=99.0, last=99.0)})
    assert plan.routing(later).addresses == (on("10.0.0.3", "db"), on("10.0.0.2"))


def test_the_networks_of_what_domains_lead_to():
    inner = release(NEW, networks=("back", "more"))
    view = second(rollout=RolloutState(environment="env", serving=release(OLD), wanted=inner))
    assert plan.own_networks(view) == {(): True, ("back", "more"): True}
    assert plan.own_networks(replace(view, tasks=(T1,))) == {(): True, ("back", "more"): False}
    assert plan.own_networks(replace(view, bound=())) == {}


def test_what_was_scaled_to_none_and_goes_on_is_activated_at_once():
    """Nobody could answer."""
    idle = release(NEW, swarm_service=f"s-{OLD}", carried=True)
    state = RolloutState(environment="env", serving=release(OLD), wanted=idle, ready=True)
    route = routed().model_copy(update={"addresses": ()})
    view = second(rollout=state, route=route, tasks=())
    assert plan.routing(view).deployment == NEW
    served = (Served(workload=MAIN, swarm_service=f"s-{OLD}"),)
    named = {"deployment": NEW, "served": served, "named": (f"s-{OLD}",)}
    assert said(switched(view)) == plan.Activate(route.model_copy(update=named))
    seen = (Task(id="t1", workload=MAIN, address="10.0.0.1"),)
    runs = replace(view, rollout=state.model_copy(update={"tasks": seen}), waited=9.0)
    assert plan.routing(runs).deployment == OLD, "one was seen, and has to answer"


def test_nothing_fails_unasked_however_long_this_process_was_away():
    view = first(waited=500.0, now=100.1)
    assert said(view) is None
    assert said(replace(view, now=200.0)) is None, "none of its tasks has been asked"
    once = {("t2", 8000): Answers(last=100.1, bad=1, text="GET / answered 503")}
    assert said(replace(view, asked=once, now=110.0)) is None
    assert isinstance(said(replace(view, asked=once, now=110.1)), plan.Fail)


def test_what_never_answers_fails_with_its_last_words():
    view = first(asked={("t2", 8000): Answers(last=189.0, bad=90, text="GET / answered 503")})
    assert said(replace(view, now=190.0, waited=90.0)) is None
    step = said(replace(view, now=110.1, waited=90.1))
    assert isinstance(step, plan.Fail)
    assert step.failure.reason == "no-answer"
    assert "503" in step.failure.detail


def test_a_refused_release_is_left_alone_and_the_former_serves():
    refused = Refusal(deployment=NEW, attempt=1, failure=FAILURE)
    view = second(
        route=routed(refused=refused), route_event="route.failed", route_failed=(NEW, 1),
        asked=good(T2, 90.0),
    )  # fmt: skip
    routing = plan.routing(view)
    assert (routing.deployment, routing.addresses, routing.probes) == (OLD, (on("10.0.0.1"),), ())
    assert said(view) is None


def test_what_serves_is_asked_again_after_it_was_refused():
    """It was stopped and started at once, and did not answer after the switch back to it."""
    refused = RouteState(refused=Refusal(deployment=OLD, attempt=1, failure=FAILURE))
    view = steady(route=refused, route_event="route.failed", route_failed=(OLD, 1))
    routing = plan.routing(view)
    assert routing.probes == (Probe("t1", MAIN, "10.0.0.1", 8000, "d1.1"),)
    answered = replace(view, loaded=routing, asked=good(T1, 100.0))
    assert plan.routing(answered).addresses == (on("10.0.0.1"),)


def test_a_change_keeps_the_refusal():
    refused = Refusal(deployment=NEW, attempt=1, failure=FAILURE)
    view = second(
        route=routed(refused=refused), route_failed=(NEW, 1), bound=(HOST, Bound("x", "b", "/", 9))
    )
    step = said(view)
    assert isinstance(step, plan.Change)
    assert step.state.refused == refused


def test_a_domain_without_any_port_is_explained():
    image = BuiltImage(reference="sha256:1", ports=(80, 443))
    wanted = release(NEW, port=None, image=image)
    step = said(first(rollout=RolloutState(environment="env", wanted=wanted, ready=True)))
    assert isinstance(step, plan.Fail)
    assert step.failure.reason == "port-unknown"
    assert HOST.host in step.failure.detail
    assert "80 and 443" in step.failure.detail


def test_a_worker_without_a_port_settles_by_running():
    state = RolloutState(environment="env", wanted=release(NEW, port=None), ready=True)
    view = first(rollout=state, bound=(), now=104.0)
    assert plan.routing(view).probes == ()
    assert said(view) is None
    assert isinstance(said(replace(view, now=105.0)), plan.Activate)


def test_without_a_domain_nothing_is_asked_by_http():
    view = first(bound=(), now=104.0)
    assert plan.routing(view).probes == ()
    assert said(view) is None
    assert said(replace(view, now=105.0)) == plan.Activate(RouteState(**serving(NEW)))


def test_a_domain_that_comes_later_leads_to_it_once_it_has_answered():
    unrouted = RouteState(**serving(OLD))
    view = steady(route=unrouted)
    routing = plan.routing(view)
    assert (routing.addresses, routing.bindings) == ((), (BINDING,)), "503 until then"
    assert routing.probes == (Probe("t1", MAIN, "10.0.0.1", 8000, "d1.1"),)
    assert said(replace(view, asked=good(T1, 100.0))) == plan.Change(routed())


def test_only_the_port_of_a_domain_is_asked():
    view = first(bound=(Bound("dom", "app.example.org", "/", 9000),))
    assert [probe.port for probe in plan.routing(view).probes] == [9000]


def test_a_new_task_enters_once_it_has_answered():
    fresh = TaskAddress("t9", f"s-{OLD}", "10.0.0.9", running=True)
    view = steady(tasks=(T1, fresh))
    assert plan.routing(view).addresses == (on("10.0.0.1"),)
    assert [probe.task for probe in plan.routing(view).probes] == ["t9"]
    view = replace(view, asked=good(fresh, 99.0))
    assert plan.routing(view).addresses == (on("10.0.0.1"), on("10.0.0.9"))
    assert plan.routing(view).probes == ()
    assert said(view) == plan.Change(routed(OLD, "10.0.0.1", "10.0.0.9"))


def test_a_task_that_swarm_takes_away_leaves_at_once():
    view = steady(tasks=(), route=routed(OLD, "10.0.0.1"))
    routing = plan.routing(view)
    assert (routing.addresses, routing.bindings) == ((), (BINDING,)), "503, not 404"
    assert isinstance(said(view), plan.Change)


def test_a_domain_takes_effect_also_during_a_rollout():
    more = Bound("more", "two.example.org", "/api", 9000)
    view = second(bound=(HOST, more))
    assert [binding.domain for binding in plan.routing(view).bindings] == ["dom", "more"]
    step = said(view)
    assert isinstance(step, plan.Change)
    assert len(step.state.bindings) == 2


def test_all_ports_of_a_task_are_asked():
    view = first(bound=(HOST, Bound("more", "two.example.org", "/", 9000)))
    assert [probe.port for probe in plan.routing(view).probes] == [8000, 9000]
    half = replace(view, asked=good(T2, 100.0))
    assert plan.routing(half).deployment is None


@pytest.mark.parametrize("why", [{"stopped": True}, {"deleting": True}])
def test_what_is_stopped_or_deleted_is_withdrawn(why: dict[str, bool]):
    view = steady(**why)
    assert plan.routing(view) == Routing("app")
    assert said(view) == plan.Withdraw(RouteState(environment="env"))
    gone = replace(view, route=RouteState(environment="env"), route_event="route.withdrawn")
    assert said(gone) is None


def test_what_was_never_routed_is_withdrawn_when_it_is_deleted():
    view = View("app", 1.0, RolloutState(), RouteState(), deleting=True)
    assert isinstance(said(view), plan.Withdraw)


def test_a_start_is_routed_though_it_is_still_marked_as_stopped():
    view = first(stopped=True, asked=good(T2, 95.0))
    routing = plan.routing(view)
    assert (routing.deployment, routing.bindings) == (NEW, ())
    assert isinstance(said(replace(view, loaded=routing)), plan.Activate)


def test_a_route_to_a_release_that_was_given_up_comes_back_to_the_serving_one():
    state = RolloutState(environment="env", serving=release(OLD))
    view = View(
        "app", 100.0, state, routed(NEW, "10.0.0.2"), route_event="route.activated",
        bound=(HOST,), tasks=(T1, T2), began=100.0,
    )  # fmt: skip
    assert plan.routing(view).deployment == NEW, "it serves until the other has answered"
    assert plan.routing(view).addresses == (on("10.0.0.2"),)
    assert [each.swarm_service for each in plan.routing(view).served] == ["s-d2"]
    assert [probe.task for probe in plan.routing(view).probes] == ["t1"]
    view = replace(view, asked=good(T1, 100.0))
    assert plan.routing(view).deployment == OLD
    view = replace(view, loaded=plan.routing(view), confirmed=OLD)
    assert isinstance(said(view), plan.Activate)


def test_probes_stand_before_the_release_is_ready():
    starting = TaskAddress("t2", f"s-{NEW}", "10.0.0.2", running=False)
    state = RolloutState(environment="env", serving=release(OLD), wanted=release(NEW))
    view = second(rollout=state, tasks=(T1, starting))
    (probe,) = plan.routing(view).probes
    assert probe.task == "t2"
    assert not plan.due(view, probe), "it does not run yet"


def test_the_pace_of_asking():
    view = second(asked=good(T2, 100.0), now=100.5)
    probe = Probe("t2", MAIN, "10.0.0.2", 8000, "d2.1")
    assert not plan.due(view, probe), "each second once it has answered"
    assert plan.due(replace(view, now=101.0), probe)
    bad = {("t2", 8000): Answers(last=100.0, bad=1)}
    assert plan.due(replace(view, asked=bad, now=100.25), probe), "four times a second before"
    assert not plan.due(replace(view, asked=bad, now=100.8, began=80.0), probe), "then slower"
