"""The server's configuration carries no password, and changes its name with its content."""

import re

from slipway.contracts import streams
from slipway_install import nats
from slipway_install.secrets import NATS_USERS, variable


def test_passwords_are_variables_of_an_included_secret():
    text = nats.render()
    assert text.startswith("include ../../run/secrets/nats_passwords\n")
    given = re.findall(r"password: (\S+?)[,}]", text)
    assert sorted(given) == sorted(f"${variable(user)}" for user in NATS_USERS)


def test_every_service_has_a_user():
    assert set(NATS_USERS) == {"admin", *streams.APPENDS}
