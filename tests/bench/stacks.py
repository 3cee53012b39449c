"""Services of several workloads, and of one that has to end before the next one begins."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import Any

import httpx2

from tests.bench import idle
from tests.bench.deploying import answers, prebuilt
from tests.bench.figures import Report
from tests.bench.platform import Api, Platform, until
from tests.bench.servers import LABEL
from tests.containers import docker, free_port

TIMES = 5
OPEN, SECONDS = 20, 15.0
EVERY = 0.005
AT_ONCE = "SIGTERM"
"""At the signal of its image nginx waits for its connections, now and then for its whole grace."""


class Stack:
    """`host` leads to the first of the workloads, where that has a port."""

    def __init__(self, api: Api, environment: str, *workloads: dict[str, Any]) -> None:
        self.api, self.workloads = api, list(workloads)
        name = f"bench-{uuid.uuid4().hex[:8]}"
        self.host = f"{name}.localhost"
        body = {"kind": "raw", "name": name, "workloads": self.workloads}
        self.id = api.post(f"/v1/environments/{environment}/services", body)["id"]
        self.path = f"/v1/services/{self.id}"
        if workloads[0].get("port"):
            domain = {"host": self.host, "workload": workloads[0]["name"]}
            api.post(f"{self.path}/domains", domain)

    def request(self) -> str:
        return self.api.post(f"{self.path}/deployments", {})["id"]

    def deploy(self) -> float:
        """Seconds until it is the live one."""
        began = time.perf_counter()
        id_ = self.request()

        def live() -> bool:
            shown = self.api.get(f"/v1/deployments/{id_}")
            if shown["status"] in ("failed", "cancelled", "superseded", "expired"):
                raise RuntimeError(f"the deployment {id_} is {shown['status']}: {shown['error']}")
            return shown["status"] == "live"

        until(live, 120, 0.02)
        return time.perf_counter() - began

    def change(self) -> None:
        """The first of the workloads is another one from now on."""
        said = {**self.workloads[0], "environment": {"CHANGED": uuid.uuid4().hex}}
        self.workloads[0] = said
        self.api.ask("PATCH", self.path, {"workloads": self.workloads})

    def running(self) -> set[str]:
        """The containers that there are, running or not."""
        label = f"label=slipway.service={self.id}"
        return set(docker("ps", "--all", "--quiet", "--filter", label).split())


def _holding(tag: str) -> dict[str, Any]:
    """A web server that writes a volume."""
    volume = {"kind": "volume", "name": "data", "path": "/data"}
    return {
        "name": "web", "image": tag, "port": 80, "mounts": [volume], "settle_seconds": 0,
        "stop_signal": AT_ONCE,
    }  # fmt: skip


def _gap(asked: Callable[[], bool], replace: Callable[[], Any]) -> float:
    """Seconds without an answer while something is replaced, asked all the time."""
    with _asking(asked) as answered:
        replace()
        replaced = time.perf_counter()
        until(lambda: answered[-1] > replaced, 30, EVERY)
    return max(late - early for early, late in pairwise(answered))


@contextmanager
def _asking(asked: Callable[[], bool]) -> Iterator[list[float]]:
    """When each of the good answers came, by another thread."""
    answered: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(EVERY):
            if asked():
                answered.append(time.perf_counter())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        until(lambda: answered, 30, EVERY)
        yield answered
    finally:
        over.set()
        thread.join()


def _by_hand(tag: str) -> Iterator[float]:
    """`docker stop` and `docker run` of the same."""
    port, volume = free_port(), f"slipway-bench-{uuid.uuid4().hex[:8]}"

    def run() -> str:
        return docker(
            "run", "--detach", "--label", LABEL, "--publish", f"127.0.0.1:{port}:80",
            "--volume", f"{volume}:/data", "--stop-signal", AT_ONCE, tag,
        )  # fmt: skip

    running = run()
    with httpx2.Client(timeout=5) as http:
        for _ in range(TIMES):

            def replace(former: str = running) -> None:
                nonlocal running
                docker("stop", former)
                running = run()
                docker("rm", former)

            yield _gap(lambda: answers(http, f"http://127.0.0.1:{port}/", "localhost"), replace)
    docker("rm", "--force", running)
    docker("volume", "rm", volume)


def _unchanged(api: Api, environment: str, tag: str, report: Report) -> None:
    others = ({"name": f"worker-{n}", "image": tag, "port": 80} for n in range(6))
    stack = Stack(api, environment, _holding(tag), *others)
    stack.deploy()
    before = stack.running()
    times = [stack.deploy() for _ in range(TIMES)]
    touched = len(stack.running() ^ before)
    report.judge(
        "redeploy of an unchanged stack of seven",
        f"{median(times) * 1000:.0f} ms at p50 of {TIMES}, {touched} tasks touched",
        "<= 1500 ms, 0 tasks",
        median(times) <= 1.5 and touched == 0,
    )
    report.keep("unchanged stack", seconds=times, touched=touched)


def _stop_first(platform: Platform, api: Api, environment: str, tag: str, report: Report) -> None:
    stack = Stack(api, environment, _holding(tag))
    stack.deploy()
    ours: list[float] = []
    for _ in range(TIMES):
        stack.change()
        ours.append(_gap(lambda: answers(platform.public, "/", stack.host), stack.deploy))
    hand = list(_by_hand(tag))
    one, other = median(ours) * 1000, median(hand) * 1000
    report.tell(
        "without an answer, what writes a volume replaced",
        f"platform {one:.0f} ms, docker stop and run {other:.0f} ms, p50 of {TIMES}",
    )
    report.judge(
        "without an answer, added by the platform",
        f"{one - other:.0f} ms at p50",
        "<= 1500 ms",
        one - other <= 1500,
    )
    report.keep("stop first", platform=ours, by_hand=hand)


def _open_rollouts(api: Api, environment: str, tag: str, report: Report) -> None:
    waits = {
        "name": "main", "image": tag, "port": 81,
        "health_check": {"start_period": 300, "interval": 60},
    }  # fmt: skip
    stacks = [Stack(api, environment, waits) for _ in range(OPEN)]
    asked = [stack.request() for stack in stacks]
    until(lambda: all(stack.running() for stack in stacks), 120)
    deployer = next(each for each in idle.programs() if each.name == "deployer")
    before = sum(map(idle.seconds, deployer.processes))
    began = time.monotonic()
    time.sleep(SECONDS)
    share = 100 * (sum(map(idle.seconds, deployer.processes)) - before) / (time.monotonic() - began)
    still = sum(api.get(f"/v1/deployments/{id_}")["status"] == "deploying" for id_ in asked)
    report.tell(f"deployer's CPU while {still} rollouts are open", f"{share:.1f} % of a core")
    report.keep("open rollouts", rollouts=still, percent=share)


def measure(platform: Platform, report: Report) -> None:
    with prebuilt() as tag, platform.organization() as api:
        environment = api.post("/v1/projects", {"name": "Stacks"})["environments"][0]["id"]
        _unchanged(api, environment, tag, report)
        _stop_first(platform, api, environment, tag, report)
        _open_rollouts(api, environment, tag, report)
