"""The instance's registry: names of images in it, and who may sign in there. Pure.

What runs is named `<organization>/<service>@sha256:…`, without the place of the registry, which may
change. Whatever begins with another organization is out of reach for one that signs in by its id.
"""

import hashlib
import hmac
from dataclasses import dataclass

PLATFORM = "platform"
"""Who reads everything: the engine, when it fetches what is to run."""
LIBRARY = "library"
"""Images for everybody, by their names on Docker Hub; filled by `make up`."""

FILLS, FILLED = "pushing", "done"
"""What the file LIBRARY in the registry's volume says, before and after somebody writes into the
library past the door: meanwhile nothing is collected."""
COLLECTS = "collecting"
"""The file there that lies beside it while is collected: meanwhile nobody writes into the library.
Each sets its own first, and looks for the other's then."""
LONGEST_COLLECTION = 900.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Account:
    user: str
    password: str


def account(master: str, user: str) -> Account:
    """`master`: the master key's private half; `user`: an organization's id, or PLATFORM."""
    said = hmac.new(master.encode(), f"slipway/registry/{user}".encode(), hashlib.sha256)
    return Account(user, said.hexdigest())


def repository(organization: str, service: str) -> str:
    """Of all images of a service, whose id it is; each is tagged by its deployment."""
    return f"{organization}/{service}"


def fetched(port: int, reference: str) -> str:
    """The name by which the engine fetches and runs what is `reference` in the registry. Loopback
    needs no certificate."""
    return f"127.0.0.1:{port}/{reference}"
