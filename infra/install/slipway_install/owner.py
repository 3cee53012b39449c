"""The first owner and a token, through the public API; all of it kept in `.slipway/env`."""

import secrets

from slipway_install import state
from slipway_install.api import Api, Problem
from slipway_install.errors import InstallError
from slipway_install.settings import Settings

EMAIL = "owner@localhost.localdomain"
_CLOSED = (401, 403, 404, 409, 410)


def setup_token(settings: Settings) -> str:
    """The one-time token of the setup: kept before the secret is made, so that a run which is cut
    off can go on. In a production install it stays in the file until an operator used it."""
    values = state.read(settings.env_file)
    if "SLIPWAY_SETUP_TOKEN" not in values and "SLIPWAY_TOKEN" not in values:
        values["SLIPWAY_SETUP_TOKEN"] = secrets.token_urlsafe(24)
        if settings.first_owner:
            values.setdefault("SLIPWAY_EMAIL", EMAIL)
            values.setdefault("SLIPWAY_PASSWORD", secrets.token_urlsafe(18))
        state.write(settings.env_file, values)
    return values.get("SLIPWAY_SETUP_TOKEN") or secrets.token_urlsafe(24)


def ensure(settings: Settings) -> Api:
    """The API with the owner's token. Raises InstallError when somebody else set it up."""
    api = Api(settings.api_url)
    values = state.read(settings.env_file)
    if token := values.get("SLIPWAY_TOKEN"):
        signed = api.signed("Authorization", f"Bearer {token}")
        if _accepted(signed):
            return signed
    token = _new_token(settings, api, values)
    values = {
        "SLIPWAY_URL": settings.api_url,
        "SLIPWAY_TOKEN": token,
        "SLIPWAY_EMAIL": values["SLIPWAY_EMAIL"],
        "SLIPWAY_PASSWORD": values["SLIPWAY_PASSWORD"],
        "SAMPLE_URL": settings.sample_url,
        "SAMPLE_HOST": settings.sample_host,
    }
    state.write(settings.env_file, values)
    return api.signed("Authorization", f"Bearer {token}")


def _accepted(api: Api) -> bool:
    try:
        api.get("/v1/projects")
    except Problem as problem:
        if problem.status in {401, 403}:
            return False
        raise
    return True


def _new_token(settings: Settings, api: Api, values: dict[str, str]) -> str:
    try:
        person = {"email": values["SLIPWAY_EMAIL"], "password": values["SLIPWAY_PASSWORD"]}
    except KeyError:
        raise InstallError(
            f"{settings.env_file.name} in .slipway does not hold the owner's password",
            "put SLIPWAY_EMAIL and SLIPWAY_PASSWORD into it, or start anew with make purge",
        ) from None
    if "SLIPWAY_SETUP_TOKEN" in values:
        try:
            api.post("/v1/setup", {"token": values["SLIPWAY_SETUP_TOKEN"], **person})
        except Problem as problem:
            if problem.status not in _CLOSED:
                raise
    try:
        session = api.call("POST", "/v1/sessions", person)
    except Problem as problem:
        raise InstallError(
            f"the owner of .slipway/{settings.env_file.name} can't sign in: {problem.what}",
            "put the owner's SLIPWAY_EMAIL and SLIPWAY_PASSWORD into it, or start anew with "
            "make purge",
        ) from None
    signed = api.signed("Cookie", session.cookie)
    organization = signed.get("/v1/organizations")["items"][0]["id"]
    signed = signed.signed("Slipway-Organization", organization)
    return signed.post("/v1/tokens", {"name": "make up", "role": "owner"})["token"]
