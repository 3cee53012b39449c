"""The import contracts hold, and each of them fails on a planted breach."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.features import features_of

ROOT = Path(__file__).parents[2]
SOURCES = ("shared", *(f"services/{p.name}" for p in sorted((ROOT / "services").iterdir())))


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*(str(root / source) for source in SOURCES), str(ROOT)])
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(program), "--config", str(ROOT / ".importlinter"), "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_hold():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


GATEWAY = "services/api-gateway/api_gateway"
BREACHES = {
    "Services talk only via events": ("services/builder/builder/__init__.py", "import deployer"),
    "Shared knows no service": ("shared/slipway/runtime/__init__.py", "import metrics"),
    "Deciding, planning and rendering reach no I/O": (
        "shared/slipway/contracts/variables.py",
        "import asyncio",
    ),
    "Deciding and planning know neither views nor routes nor reactions": (
        f"{GATEWAY}/projects/domain.py",
        "import api_gateway.projects.routes",
    ),
    "Reactions know no HTTP": ("services/builder/builder/build/react.py", "import fastapi"),
    "Features are strangers": (
        f"{GATEWAY}/events/cloudevents.py",
        "import api_gateway.deployments.read",
    ),
    "One door to NATS": ("services/builder/builder/__init__.py", "import nats"),
    "One door to MongoDB": (f"{GATEWAY}/__init__.py", "import motor"),
    "One door to cryptography": ("services/metrics/metrics/__init__.py", "import cryptography"),
    "What features share knows none of them": (
        "services/api-gateway/api_gateway/commands.py",
        "import api_gateway.projects.tree",
    ),
    "One door to the engine": ("services/deployer/deployer/__init__.py", "import aiodocker"),
}
CONFIGURATION = configparser.ConfigParser()
CONFIGURATION.read(ROOT / ".importlinter")
CONTRACTS = [section for section in CONFIGURATION.sections() if ":contract:" in section]


@pytest.mark.parametrize("contract", BREACHES)
def test_a_planted_breach_is_found(contract: str, tmp_path: Path):
    for source in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__", "clients", "node_modules")
        shutil.copytree(ROOT / source, tmp_path / source, ignore=ignored)
    file, breach = BREACHES[contract]
    planted = tmp_path / file
    planted.write_text(planted.read_text() + f"\n{breach}\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout, done.stdout


def test_a_folder_with_a_manifest_is_a_feature_and_no_list_names_it():
    names = {"api_gateway.app", "api_gateway.http.schema", "api_gateway.activity.manifest"}
    assert features_of(names) == {"api_gateway.activity"}
    folders = {file.parent.name for file in (ROOT / GATEWAY).glob("*/manifest.py")}
    assert len(folders) >= 11
    options = dict(CONFIGURATION["importlinter:contract:features"])
    assert [name for name in folders if f".{name}" in str(options)] == []


def test_every_contract_has_a_planted_breach():
    assert {CONFIGURATION[section]["name"] for section in CONTRACTS} == set(BREACHES)
