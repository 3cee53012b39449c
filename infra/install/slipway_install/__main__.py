"""`python -m slipway_install`: bring the instance up. Everything is looked for before it is made,
so a run that was cut off is simply run again."""

import os
import sys

from slipway_install import egress, library, nats, owner, sample, secrets, stack, state
from slipway_install.api import wait_for
from slipway_install.errors import InstallError
from slipway_install.progress import step
from slipway_install.settings import Settings, read


def up(settings: Settings) -> None:
    """Storage, then streams and permissions, then the services, then somebody to use them."""
    egress.allowed(settings)  # what can't be read is told before anything is made
    token = owner.setup_token(settings)
    with step("secrets") as now:
        made = secrets.ensure(settings, token)
        now.note = f"{made} made" if made else ""
    with step("networks and volumes"):
        stack.ensure_network(settings)
        egress.ensure_networks(settings)
        stack.ensure_volumes(settings)
        configuration = nats.ensure_config(settings)
    with step("images for builds") as now:
        now.note = library.ensure()
    with step("NATS and MongoDB"):
        stack.deploy(settings, configuration, services=stack.serving(settings))
        stack.wait(settings, stack.STORAGE)
    with step("streams"):
        _init(settings)
    with step("services") as now:
        stack.deploy(settings, configuration, services=True)
        now.note = f"{stack.wait(settings)} running"
        nats.remove_other_configs(settings, configuration)
    with step("API ready"):
        _ready(settings)
    if settings.first_owner:
        with step("first owner"):
            api = owner.ensure(settings)
        with step("sample application") as now:
            now.note = sample.ensure_live(settings, api, sample.ensure_repository())
    _report(settings)


def _init(settings: Settings) -> None:
    password = f"source={settings.named('nats_password_admin')},target=nats_password"
    stack.run_once(settings, "init", ["python", "-m", "slipway.eventstore.init"], [password])


def _ready(settings: Settings) -> None:
    status, body = wait_for(f"{settings.api_url}/readyz", 60)
    if status != 200:
        raise InstallError(
            f"{settings.api_url}/readyz answers {status or 'nothing'}",
            f"see docker service logs {settings.named('api-gateway')} "
            f"and {settings.named('proxy-sync')}",
            [body],
        )


def _report(settings: Settings) -> None:
    values = state.read(settings.env_file)
    print(f"\nSlipway ({settings.instance}) is up.")
    print(f"  API       {settings.api_url}   (documentation: {settings.api_url}/docs)")
    if settings.first_owner:
        print(f"  sample    {settings.sample_url}")
        print(f"  owner     {values['SLIPWAY_EMAIL']}")
        print(f"  password and token are in .slipway/{settings.env_file.name}")
    elif token := values.get("SLIPWAY_SETUP_TOKEN"):
        print(f"  one-time setup token: {token}")
        print("  make the first owner with POST /v1/setup {token, email, password}")


def main() -> int:
    try:
        up(read(os.environ))
    except InstallError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; make up goes on where it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
