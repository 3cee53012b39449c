"""The installation's secrets: made once, as Docker secrets, and never overwritten.

The keys belong together, and so do the passwords of NATS. Each group has a marker, made last: a
group without its marker was cut off while it was made, nothing uses it yet, so it is made anew.
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping

from slipway_install import engine
from slipway_install.errors import InstallError
from slipway_install.settings import Settings

NATS_USERS = ("admin", "api-gateway", "builder", "deployer", "proxy-sync", "metrics")
_ALONE = ("mongo_password", "traefik_password", "probe_key")


def variable(user: str) -> str:
    """The variable of nats.conf that holds the user's password."""
    return f"PASSWORD_{user.upper().replace('-', '_')}"


def ensure(settings: Settings, setup_token: str) -> int:
    """Make what is missing; the number made. Raises InstallError when the data is there but the
    keys are gone: new ones would not open it."""
    existing = engine.names("secret", settings.instance)
    data = settings.named("nats") in engine.names("volume", settings.instance)
    if data and settings.named("master_private") not in existing:
        raise InstallError(
            f"the data of {settings.instance} is there, but its keys (Docker secrets) are gone",
            "restore the secrets from the backup, or remove everything with make purge",
        )
    made = 0
    if settings.named("master_private") not in existing:
        made += _make_group(settings, existing, _keys())
    if settings.named("nats_passwords") not in existing:
        made += _make_group(settings, existing, _nats_passwords())
    alone = {name: secrets.token_urlsafe(32) for name in _ALONE} | {"setup_token": setup_token}
    for name, value in alone.items():
        if settings.named(name) not in existing:
            _make(settings, name, value)
            made += 1
    return made


def _make_group(settings: Settings, existing: set[str], group: Mapping[str, str]) -> int:
    for name, value in group.items():
        if settings.named(name) in existing:
            engine.run("secret", "rm", settings.named(name))
        _make(settings, name, value)
    return len(group)


def _make(settings: Settings, name: str, value: str) -> None:
    label = f"{engine.INSTANCE}={settings.instance}"
    engine.run("secret", "create", "--label", label, settings.named(name), "-", stdin=value)


def _keys() -> dict[str, str]:
    """The key pairs; the marker, master_private, last."""
    done = subprocess.run(
        [sys.executable, "-m", "slipway.sealing.generate"],
        capture_output=True,
        text=True,
        check=True,
    )
    keys = json.loads(done.stdout)
    return {
        "master_public": keys["master_public"],
        "gateway_key": keys["gateway_private"],
        "master_private": keys["master_private"],
    }


def _nats_passwords() -> dict[str, str]:
    """A password for each user, and all as variables for the server: the marker, last."""
    passwords = {user: secrets.token_hex(24) for user in NATS_USERS}
    group = {f"nats_password_{user}": password for user, password in passwords.items()}
    lines = [f'{variable(user)}: "{password}"' for user, password in passwords.items()]
    return {**group, "nats_passwords": "\n".join(lines) + "\n"}
