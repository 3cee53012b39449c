"""Which platform is tested, and how its parts are named."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
INSTANCE = os.environ.get("SLIPWAY_INSTANCE", "slipway-test")
CONTROL_NETWORK = f"{INSTANCE}_control"
CONTROL_PLANE = ("api-gateway", "builder", "deployer", "proxy-sync", "metrics")
MARK = f"slipway-e2e={INSTANCE}"
"""Label of what the tests themselves make on the engine."""


def service(name: str) -> str:
    """The Swarm service of a part of the control plane."""
    return f"{INSTANCE}_{name}"


def network_of(environment: str) -> str:
    return f"{INSTANCE}_env_{environment}"
