"""`GET /v1/projects` beside a bare route with the same bytes."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from tempfile import NamedTemporaryFile

import httpx2

from tests.bench.figures import Report, percentile
from tests.bench.platform import Api, Platform, until
from tests.containers import ROOT, free_port

SIZES, SERVICES = (10, 200), 3
TIMES, WARM = 200, 30
PATH = "/v1/projects?limit=200"


def fill(api: Api, projects: int) -> None:
    def one(number: int) -> None:
        project = api.post("/v1/projects", {"name": f"Project {number}"})
        environment = project["environments"][0]["id"]
        for index in range(SERVICES):
            body = {
                "kind": "application",
                "name": f"web-{index}",
                "source": {"kind": "image", "image": "nginx:stable"},
            }
            api.post(f"/v1/environments/{environment}/services", body)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(projects)))


@contextmanager
def bare(content: bytes) -> Iterator[httpx2.Client]:
    port = free_port()
    with NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        argv = [sys.executable, "-m", "tests.bench.bare", str(port), file.name]
        process = subprocess.Popen(argv, cwd=ROOT)
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
                until(lambda: _up(http), 30, 0.05)
                yield http
        finally:
            process.terminate()
            process.wait(10)


def _up(http: httpx2.Client) -> bool:
    try:
        return http.get("/").is_success
    except httpx2.HTTPError:
        return False


def _timed(http: httpx2.Client, path: str) -> float:
    began = time.perf_counter()
    http.get(path).raise_for_status()
    return time.perf_counter() - began


def measure(platform: Platform, report: Report) -> None:
    for size in SIZES:
        with platform.organization() as api:
            fill(api, size)
            shown = api.ask("GET", PATH)
            there = len(shown.json()["items"])
            if there != size:
                raise RuntimeError(f"{there} projects are shown, {size} were made")
            with bare(shown.content) as other:
                for http, path in ((api.http, PATH), (other, "/")):
                    for _ in range(WARM):
                        _timed(http, path)
                ours, theirs = [], []
                for _ in range(TIMES):  # in turn, so that both meet the same machine
                    ours.append(_timed(api.http, PATH))
                    theirs.append(_timed(other, "/"))
        one, base = percentile(ours, 50), percentile(theirs, 50)
        report.judge(
            f"GET /v1/projects, {size} x {SERVICES} ({len(shown.content)} bytes)",
            f"p50 {one:.2f} ms, p95 {percentile(ours, 95):.2f} ms;"
            f" bare p50 {base:.2f} ms: {one / base:.1f} x",
            "<= 3 x and <= 10 ms",
            one <= 3 * base and one <= 10,
        )
        report.keep(f"reading {size}", platform=ours, bare=theirs, size=len(shown.content))
