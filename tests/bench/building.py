"""From a second commit to its answer, by the platform and by hand; and what stands by for it."""

import json
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median

import httpx2
from slipway.contracts import labels

from tests.bench import idle
from tests.bench.figures import Report
from tests.bench.platform import INSTANCE, Api, Platform, until
from tests.bench.servers import LABEL
from tests.containers import docker, free_port
from tests.e2e.api import Api as Operator
from tests.e2e.repositories import GitServer, Repository, git, served

TIMES = 7
COLD = 4
EVERY = 0.01
RESTS = 20.0
"""Seconds after its last build that a BuildKit is given until it counts as idle."""
GOAL, GOAL_COLD, GOAL_MEMORY = 0.9, 1.5, 60
DOCKERFILE = "FROM nginx:stable\nCOPY index.html /usr/share/nginx/html/\n"


def commit(repository: Repository) -> str:
    """Pushes another page, and gives its text."""
    text = uuid.uuid4().hex
    repository.push({"Dockerfile": DOCKERFILE, "index.html": text})
    return text


def says(http: httpx2.Client, url: str, host: str, text: str) -> bool:
    try:
        return http.get(url, headers={"Host": host}).text == text
    except httpx2.HTTPError:
        return False


class ByHand:
    """`git clone`, `docker build`, `docker run`, and asked until it answers."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.repository, self.folder = repository, folder
        self.tag = f"slipway-bench-hand:{uuid.uuid4().hex[:8]}"

    def deploy(self, text: str) -> float:
        source, port = self.folder / uuid.uuid4().hex, free_port()
        with httpx2.Client(timeout=5) as http:
            began = time.perf_counter()
            git("clone", "--quiet", "--depth", "1", self.repository.url, str(source))
            docker("build", "--quiet", "--label", LABEL, "--tag", self.tag, str(source))
            published = f"127.0.0.1:{port}:80"
            made = docker("run", "--detach", "--label", LABEL, "--publish", published, self.tag)
            until(lambda: says(http, f"http://127.0.0.1:{port}/", "localhost", text), 60, EVERY)
            seconds = time.perf_counter() - began
        docker("rm", "--force", made)
        return seconds


class Site:
    """A service of a repository, with a host; without a settling time."""

    def __init__(self, platform: Platform, api: Api, repository: Repository) -> None:
        environment = api.post("/v1/projects", {"name": "Building"})["environments"][0]["id"]
        name = f"bench-{uuid.uuid4().hex[:8]}"
        self.api, self.public, self.host = api, platform.public, f"{name}.localhost"
        source = {"kind": "git", "url": repository.url, "branch": "main"}
        body = {"kind": "application", "name": name, "source": source, "settle_seconds": 0}
        made = api.post(f"/v1/environments/{environment}/services", body)
        self.path = f"/v1/services/{made['id']}"
        api.post(f"{self.path}/domains", {"host": self.host})

    def deploy(self, text: str) -> tuple[float, float]:
        """Seconds until its host says `text`, and until the deployment is the live one."""
        began = time.perf_counter()
        id_ = self.api.post(f"{self.path}/deployments", {})["id"]
        until(lambda: says(self.public, "/", self.host, text), 60, EVERY)
        routed = time.perf_counter() - began

        def live() -> bool:
            status = self.api.get(f"/v1/deployments/{id_}")["status"]
            if status in ("failed", "cancelled", "superseded", "expired"):
                raise RuntimeError(f"the deployment {id_} is {status}")
            return status == "live"

        until(live, 120, EVERY)
        return routed, time.perf_counter() - began

    def buildkit(self) -> str:
        """Its container, and its network."""
        image = self.api.get(f"{self.path}/deployments?limit=1")["items"][0]["image"]
        return labels.build_network(INSTANCE, image.partition("/")[0])


def stopped(buildkit: str) -> None:
    """As it is when it has idled: its volume alone is there."""
    organization = buildkit.removeprefix(labels.build_network(INSTANCE, ""))
    docker("rm", "--force", buildkit, labels.cloning_container(INSTANCE, organization))
    for guest in json.loads(docker("network", "inspect", buildkit))[0]["Containers"].values():
        docker("network", "disconnect", "--force", buildkit, guest["Name"])
    docker("network", "rm", buildkit)


def _second_commits(site: Site, hand: ByHand, repository: Repository, report: Report) -> float:
    """Seconds of one by the platform."""
    ours, theirs = [], []
    for _ in range(TIMES):
        text = commit(repository)
        theirs.append(hand.deploy(text))
        ours.append(site.deploy(text))
    routed, live = median(each for each, _ in ours), median(each for _, each in ours)
    by_hand = median(theirs)
    report.tell(
        "second commit of a Dockerfile, settle apart",
        f"answers after {routed * 1000:.0f} ms, live after {live * 1000:.0f} ms;"
        f" by hand {by_hand * 1000:.0f} ms, p50 of {TIMES}",
    )
    report.judge(
        "second commit, added by the platform",
        f"{(live - by_hand) * 1000:.0f} ms at p50",
        f"<= {GOAL * 1000:.0f} ms",
        live - by_hand <= GOAL,
    )
    report.keep("second commit", platform=ours, by_hand=theirs)
    return live


def _cold(site: Site, repository: Repository, warm: float, report: Report) -> None:
    times = []
    for _ in range(COLD):
        stopped(site.buildkit())
        times.append(site.deploy(commit(repository))[1])
    added = median(times) - warm
    report.judge(
        "the same with a BuildKit that was stopped, added by its start",
        f"{added * 1000:.0f} ms at p50 of {COLD}",
        f"<= {GOAL_COLD * 1000:.0f} ms",
        added <= GOAL_COLD,
    )
    report.keep("cold start of a BuildKit", seconds=times, warm=warm)


def _standing_by(report: Report) -> None:
    """What is there for builds alone while nothing is built."""
    time.sleep(RESTS)
    kept = {}
    for program in idle.programs():
        if program.name.startswith(("registry", "guard", "build-", "clone-")):
            kept[program.name] = program.processes
    everybody = [process for processes in kept.values() for process in processes]
    together = idle.own(everybody)
    buildkits = sum(name.startswith("build-") for name in kept)
    report.judge(
        f"registry, guard and {buildkits} idle BuildKits, memory of their own",
        f"{together:.0f} MiB; {idle.alone(everybody):.0f} with the pages of their programs",
        f"<= {GOAL_MEMORY} MiB",
        together <= GOAL_MEMORY,
    )
    each = {name: idle.own(processes) for name, processes in kept.items()}
    report.keep("standing by", own=together, **each)


def measure(platform: Platform, report: Report) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder,
        served(
            Operator(platform.url, platform.given["SLIPWAY_TOKEN"]), Path(folder, "git")
        ) as server,
        platform.organization() as api,
    ):
        _measured(platform, api, server, Path(folder), report)


def _measured(
    platform: Platform, api: Api, server: GitServer, folder: Path, report: Report
) -> None:
    repository = server.repository()
    site, hand = Site(platform, api, repository), ByHand(repository, folder)
    first = commit(repository)
    site.deploy(first)
    hand.deploy(first)
    warm = _second_commits(site, hand, repository, report)
    _cold(site, repository, warm, report)
    _standing_by(report)
    docker("rmi", "--force", hand.tag)
