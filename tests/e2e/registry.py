"""The instance's registry, asked as whoever may reach it would."""

import base64
from functools import cache

import httpx2
from slipway.contracts import labels
from slipway.contracts.registry import Account

from tests.e2e.engine import container_of, docker
from tests.e2e.instance import INSTANCE, service

_ACCOUNT = """
import sys
from builder.settings import BuilderSettings
from slipway.contracts.registry import account
print(account(BuilderSettings().master_private.get_secret_value(), sys.argv[1]).password)
"""


def place() -> str:
    """Where the engine finds it, on loopback."""
    return docker("port", labels.registry_door(INSTANCE), "5000/tcp").splitlines()[0]


@cache
def account_of(user: str) -> Account:
    """The builder's own secret opens it: nobody else has the password."""
    password = docker("exec", container_of(service("builder")), "python", "-c", _ACCOUNT, user)
    return Account(user, password)


def ask(
    method: str, path: str, account: Account | None = None, **more: str | bytes
) -> httpx2.Response:
    """`path` is sent as it is. `more`: headers, and `content`."""
    content = more.pop("content", b"")
    headers = {name.replace("_", "-"): str(value) for name, value in more.items()}
    headers["Accept"] = "application/vnd.oci.image.manifest.v1+json, */*"
    if account is not None:
        said = f"{account.user}:{account.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(said).decode()}"
    with httpx2.Client(timeout=30) as http:
        return http.request(method, f"http://{place()}{path}", headers=headers, content=content)
