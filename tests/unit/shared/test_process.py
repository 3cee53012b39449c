"""A service's life, each in a process of its own, started as its image does."""

import json
import os
import subprocess
import sys

import pytest

MODULES = ("api_gateway", "builder", "deployer", "metrics", "proxy_sync")
PROGRAM = """
import importlib, runpy, sys
from slipway.runtime.logging import logger

async def main(stopping):
    logger().debug("debug")
    logger().warning("warning")

for module in sys.argv[1:]:
    importlib.import_module(module + ".app").main = main
    runpy.run_module(module, run_name="__main__")
"""


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("DEBUG", ["started", "debug", "warning", "stopped"]),
        ("WARNING", ["warning"]),
        (None, ["started", "warning", "stopped"]),
    ],
)
def test_each_service_logs_what_the_setting_says(level: str | None, said: list[str]):
    environment = {k: v for k, v in os.environ.items() if k != "SLIPWAY_LOG_LEVEL"}
    if level:
        environment["SLIPWAY_LOG_LEVEL"] = level
    argv = [sys.executable, "-c", PROGRAM, *MODULES]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for module in MODULES:
        mine = [line["event"] for line in lines if line["component"] == module.replace("_", "-")]
        assert mine == said
