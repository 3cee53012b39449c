"""The NATS server's configuration: rendered from the contracts, without the passwords.

It is a Docker config named after its content, so a release with other permissions gets a new one
and the server is restarted with it; the passwords stay in a secret which it includes.
"""

import hashlib
import json
import subprocess
import sys

from slipway_install import engine
from slipway_install.errors import InstallError
from slipway_install.secrets import NATS_USERS, variable
from slipway_install.settings import Settings

_INCLUDE = "include ../../run/secrets/nats_passwords\n"
"""NATS joins the path to the folder of its configuration, /etc/nats."""


def render() -> str:
    """nats.conf whose passwords are variables. Raises InstallError when the contracts name other
    users than there are passwords for."""
    marks = {user: f"<password of {user}>" for user in NATS_USERS}
    done = subprocess.run(
        [sys.executable, "-m", "slipway.contracts.permissions"],
        input=json.dumps(marks),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InstallError(
            "the permissions could not be rendered from the contracts",
            "report it with the lines above",
            done.stderr.strip().splitlines()[-5:],
        )
    text = done.stdout
    for user, mark in marks.items():
        if text.count(json.dumps(mark)) != 1:
            raise InstallError(
                f"nats.conf does not name the user {user} exactly once", "report it as a defect"
            )
        text = text.replace(json.dumps(mark), f"${variable(user)}")
    return _INCLUDE + text


def ensure_config(settings: Settings) -> str:
    """The name of the Docker config, made where it is missing."""
    text = render()
    name = settings.named(f"nats_conf_{hashlib.sha256(text.encode()).hexdigest()[:12]}")
    if name not in engine.names("config", settings.instance):
        label = f"{engine.INSTANCE}={settings.instance}"
        engine.run("config", "create", "--label", label, name, "-", stdin=text)
    return name


def remove_other_configs(settings: Settings, current: str) -> None:
    """Configs of earlier releases, which no service uses any more."""
    for name in engine.names("config", settings.instance) - {current}:
        if name.startswith(settings.named("nats_conf_")):
            engine.run("config", "rm", name)
