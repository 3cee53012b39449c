"""Releases as tests need them."""

from typing import Any

from slipway.contracts.build import WorkloadsObject
from slipway.contracts.rollout import Release, Released
from slipway.contracts.values import BuiltImage, GitCommit
from slipway.contracts.workload import MAIN, Built

IMAGE = BuiltImage(reference="sha256:1")
SEALED = WorkloadsObject(name="d.1", hash="0" * 64)
BUILT = (Built(name=MAIN, digest="x", image=IMAGE),)


def release(
    deployment: str, sequence: int = 1, commit: GitCommit | None = None, attempt: int = 1,
    **main: Any,
) -> Release:  # fmt: skip
    """Of one workload, whose Swarm service has the name `s-<deployment>`."""
    values = {
        "name": MAIN,
        "swarm_service": f"s-{deployment}",
        "image": IMAGE,
        "digest": "x",
        **main,
    }
    return Release(
        deployment=deployment,
        sequence=sequence,
        workloads=(Released(**values),),
        sealed=SEALED,
        commit=commit,
        attempt=attempt,
    )
