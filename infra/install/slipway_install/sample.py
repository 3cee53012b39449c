"""The sample application: its git repository, and its way to a live address by the public API."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from slipway_install.api import Api, wait_for
from slipway_install.errors import InstallError
from slipway_install.settings import Settings

SOURCE = Path("/opt/slipway/install/sample")
REPOSITORIES = Path("/srv/git")
"""The volume that sample-git serves."""
URL = "http://sample-git/sample.git"
_ENDED = {"live", "replaced", "failed", "cancelled", "superseded", "expired"}
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Slipway",
    "GIT_AUTHOR_EMAIL": "sample@localhost",
    "GIT_COMMITTER_NAME": "Slipway",
    "GIT_COMMITTER_EMAIL": "sample@localhost",
    "HOME": "/nonexistent",
    "PATH": "/usr/bin:/bin",
}


def ensure_repository() -> str:
    """Make or update the bare repository; the hash of its newest commit. Equal files are no new
    commit."""
    bare = REPOSITORIES / "sample.git"
    if not (bare / "HEAD").exists():
        _git(REPOSITORIES, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        _git(REPOSITORIES, "clone", "--quiet", str(bare), str(work))
        for old in work.iterdir():
            if old.is_file():
                old.unlink()
        shutil.copytree(
            SOURCE, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        _git(work, "add", "--all")
        if _git(work, "status", "--porcelain"):
            version = (work / "VERSION").read_text(encoding="utf-8").strip()
            _git(work, "commit", "--quiet", f"--message=Version {version}")
            _git(work, "push", "--quiet", "origin", "HEAD:main")
        return _git(work, "rev-parse", "HEAD").strip()


def ensure_live(settings: Settings, api: Api, commit: str) -> str:
    """Project, service, domain and deployment, each only where it is missing; waits for the
    200. Returns what was done. Raises InstallError with the deployment's own words."""
    service = _service(api)
    path = f"/v1/services/{service['id']}"
    _domain(settings, api, path)
    newest = next(iter(api.get(f"{path}/deployments")["items"]), None)
    done = "already live"
    if newest is None or _over(newest, commit):
        newest = api.post(f"{path}/deployments", {})
        done = "deployed"
    _wait_live(api, newest["id"])
    url = f"http://127.0.0.1:{settings.http_port}/"
    status, body = wait_for(url, 30, settings.sample_host)
    if status != 200:
        raise InstallError(
            f"{settings.sample_url} answers {status or 'nothing'} though its deployment is live",
            "look at the log of proxy-sync",
            [body],
        )
    return done


def _service(api: Api) -> dict[str, Any]:
    projects = [p for p in api.get("/v1/projects")["items"] if p["name"] == "Sample"]
    project = projects[0] if projects else api.post("/v1/projects", {"name": "Sample"})
    project = api.get(f"/v1/projects/{project['id']}")
    environment = project["environments"][0]
    for service in environment.get("services", []):
        if service["name"] == "sample":
            return service
    return api.post(
        f"/v1/environments/{environment['id']}/services",
        {
            "name": "sample",
            "kind": "application",
            "source": {"kind": "git", "url": URL, "branch": "main"},
            "build": {"kind": "dockerfile"},
            "port": 8000,
        },
    )


def _domain(settings: Settings, api: Api, path: str) -> None:
    hosts = {domain["host"] for domain in api.get(f"{path}/domains")["items"]}
    if settings.sample_host not in hosts:
        api.post(f"{path}/domains", {"host": settings.sample_host})


def _over(newest: dict[str, Any], commit: str) -> bool:
    """It ended otherwise than live, or what is live is another commit."""
    if newest["status"] == "live":
        return (newest.get("commit") or {}).get("hash") != commit
    return newest["status"] in _ENDED


def _wait_live(api: Api, deployment: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while True:
        now = api.get(f"/v1/deployments/{deployment}")
        if now["status"] == "live":
            return
        if now["status"] in _ENDED or time.monotonic() > end:
            raise _explained(now, seconds)
        time.sleep(0.25)


def _explained(deployment: dict[str, Any], seconds: float) -> InstallError:
    error = deployment.get("error") or {}
    what = f"the sample's deployment {deployment['id']} is "
    if deployment["status"] in _ENDED:
        what += f"{deployment['status']}: {error.get('reason', '')} {error.get('detail', '')}"
    else:
        what += f"still {deployment['status']} after {seconds:.0f} s"
    hint = f"read its log: GET /v1/deployments/{deployment['id']}/logs"
    return InstallError(what.rstrip(" :"), error.get("hint") or hint)


def _git(folder: Path, *argv: str) -> str:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *argv],
        cwd=folder,
        capture_output=True,
        text=True,
        env=_IDENTITY,
        check=False,
    )
    if done.returncode:
        raise InstallError(
            f"git {argv[0]} of the sample failed",
            "remove the volume <instance>_sample, then run make up again",
            done.stderr.strip().splitlines()[-5:],
        )
    return done.stdout
