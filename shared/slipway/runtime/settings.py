"""Settings of a service: from `SLIPWAY_…` variables, and from the secrets mounted beside it.

A secret is a file `/run/secrets/<field>` (`nats_password`, `mongo_password`, …): the name of the
field without a prefix, so code does not know the instance. A variable wins over a file, which is
how tests give them.
"""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from slipway.contracts.limits import BuildCeilings, BuildLimits

SECRETS = Path("/run/secrets")


class Settings(BaseSettings):
    """What every service knows. Each service adds its own fields in its `settings.py`."""

    model_config = SettingsConfigDict(
        env_prefix="SLIPWAY_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    instance: str = "slipway"
    """Everything on the engine is named and labelled by it."""
    nats_url: str = "nats://nats:4222"
    """Where the log server is reached."""
    nats_user: str = ""
    """What it calls this service: a user's permissions say what may be appended."""
    nats_password: SecretStr = SecretStr("")
    """Of that user."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least that is logged."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        if not SECRETS.is_dir():
            return (init_settings, env_settings)
        mounted = SecretsSettingsSource(settings_cls, secrets_dir=SECRETS, env_prefix="")
        return (init_settings, env_settings, mounted)


class LimitSettings(Settings):
    """Of services that say or keep what builds may take."""

    build_limits: BuildLimits = BuildLimits()
    """What an organization's builds may take, where `PUT /v1/admin/organizations/{id}/limits` says
    nothing else; those that are not named are as by default. Bytes, seconds; without `cpus` half of
    the node's processors, one at least."""
    build_ceilings: BuildCeilings = BuildCeilings()
    """What no organization gets more of, whatever is said; without `slots`: all but one of them.
    Those that are not named are as by default."""
