"""From the wish to the first answer: a prebuilt image by the platform, and by hand."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests.bench.figures import Report, percentile
from tests.bench.platform import INSTANCE, Api, Platform, until
from tests.bench.servers import LABEL
from tests.containers import docker, free_port, image, into_library

TIMES, AGAIN = 10, 3
EVERY = 0.01


@contextmanager
def prebuilt() -> Iterator[str]:
    """A tag of this run for a web server that is there already, so that nothing is pulled."""
    tag = f"slipway-bench-web:{uuid.uuid4().hex[:8]}"
    docker(
        "build", "--quiet", "--label", LABEL, "--tag", tag, "-", given=f"FROM {image('nginx')}\n"
    )
    try:
        into_library(tag, INSTANCE)
        yield tag
    finally:
        docker("rmi", "--force", tag)


def answers(http: httpx2.Client, url: str, host: str) -> bool:
    try:
        return http.get(url, headers={"Host": host}).status_code == 200
    except httpx2.HTTPError:
        return False


def by_hand(tag: str) -> float:
    """`docker service create`, and asked until the first 200."""
    name, port = f"slipway-bench-{uuid.uuid4().hex[:8]}", free_port()
    with httpx2.Client(timeout=5) as http:
        began = time.perf_counter()
        docker(
            "service", "create", "--detach", "--no-resolve-image", "--quiet", "--name", name,
            "--label", LABEL, "--publish", f"mode=host,target=80,published={port}", tag,
        )  # fmt: skip
        try:
            until(lambda: answers(http, f"http://127.0.0.1:{port}/", "localhost"), 60, EVERY)
            return time.perf_counter() - began
        finally:
            docker("service", "rm", name)


class Site:
    """A new service with a new host."""

    def __init__(self, api: Api, environment: str, tag: str) -> None:
        name = f"bench-{uuid.uuid4().hex[:8]}"
        self.api, self.host = api, f"{name}.localhost"
        body = {"kind": "application", "name": name, "source": {"kind": "image", "image": tag}}
        made = api.post(f"/v1/environments/{environment}/services", body)
        self.path = f"/v1/services/{made['id']}"
        api.post(f"{self.path}/domains", {"host": self.host})

    def deploy(self, public: httpx2.Client) -> float:
        """Until the first 200 at its host."""
        began = time.perf_counter()
        id_ = self.api.post(f"{self.path}/deployments", {})["id"]
        until(lambda: answers(public, "/", self.host), 60, EVERY)
        seconds = time.perf_counter() - began
        self.wait(id_)
        return seconds

    def replace(self) -> float:
        """Until the new release is the live one. By a restart, which carries nothing over."""
        began = time.perf_counter()
        self.wait(self.api.post(f"{self.path}/restart", {})["id"])
        return time.perf_counter() - began

    def wait(self, deployment: str) -> None:
        def live() -> bool:
            status = self.api.get(f"/v1/deployments/{deployment}")["status"]
            if status in ("failed", "cancelled", "superseded", "expired"):
                raise RuntimeError(f"the deployment {deployment} is {status}")
            return status == "live"

        until(live, 120, 0.05)


def measure(platform: Platform, report: Report) -> None:
    ours, hand, again = [], [], []
    with prebuilt() as tag, platform.organization() as api:
        project = api.post("/v1/projects", {"name": "Deploying"})
        environment = project["environments"][0]["id"]
        site = Site(api, environment, tag)
        site.deploy(platform.public)  # makes the network
        for _ in range(TIMES):
            hand.append(by_hand(tag))
            site = Site(api, environment, tag)
            ours.append(site.deploy(platform.public))
        settle = api.get(site.path)["settle_seconds"]
        again = [site.replace() for _ in range(AGAIN)]
    one, other = percentile(ours, 50), percentile(hand, 50)
    for name, times in (("platform", ours), ("by hand", hand)):
        report.tell(
            f"prebuilt image to the first 200, {name}",
            f"p50 {percentile(times, 50):.0f} ms, p95 {percentile(times, 95):.0f} ms"
            f" of {len(times)}",
        )
    report.judge(
        "prebuilt image, added by the platform",
        f"{one - other:.0f} ms at p50",
        "<= 1500 ms",
        one - other <= 1500,
    )
    report.tell(
        f"the same again, a former release serving (settle {settle:g} s)",
        f"p50 {percentile(again, 50):.0f} ms to live of {len(again)}",
    )
    report.keep("deploying", platform=ours, by_hand=hand, again=again, settle=settle)
