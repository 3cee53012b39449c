"""What of a service's former settings is still in the world: the names under which its tasks are
reached in their environment are those of the deployment which made them, not the ones that the
service has by now, and so are the ports of the host that they have."""

from slipway.contracts.reached import names as reached_names
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.values import Settings, Specification
from slipway.kernel.envelope import Subject

from api_gateway.deployments.domain import DEPLOYMENT
from api_gateway.deployments.open import OpenDeployments
from api_gateway.gateway import Gateway
from api_gateway.names import Carried, NameTaken, Reach
from api_gateway.ports import Holder, Holds
from api_gateway.services.domain import SERVICE


def by_release(gateway: Gateway, organization: str, name: str) -> Carried:
    """A service carries a name while a release of that name serves, or is asked for or rolled out.
    What is stopped does not: what starts it has the service's present name."""

    async def carried(service: str) -> None:
        for id_ in await _deployments(gateway, organization, service):
            made = await gateway.commands.state(DEPLOYMENT, organization, id_)
            if made.specification is not None and _reached(made.specification, name):
                now = await gateway.commands.state(SERVICE, organization, service)
                raise NameTaken(
                    f"the service {now.name} was renamed, and what runs of it still has the name"
                    f" {name!r}",
                    pointer="/name",
                    hint=f"deploy or restart {now.name}, so that it runs under its present name",
                )

    return carried


def reach(gateway: Gateway, organization: str) -> Reach:
    """Of a service."""
    return Reach(
        names=lambda service: reached_names(service.name, service.settings),
        carried=lambda name: by_release(gateway, organization, name),
    )


def _reached(specification: Specification, name: str) -> bool:
    found = reached_names(specification.name, specification.settings)
    return name.lower() in {each.lower() for each in found}


def port_holders(gateway: Gateway) -> Holds:
    """A service has a port while it says so, or while something that has it runs or is to run."""

    async def holds(organization: str, service: str, port: str) -> Holder | None:
        now = await gateway.commands.state(SERVICE, organization, service)
        holder = Holder(organization, now.name)
        if now.phase == "active" and _published(now.settings, port):
            return holder
        for id_ in await _deployments(gateway, organization, service):
            made = await gateway.commands.state(DEPLOYMENT, organization, id_)
            if made.specification and _published(made.specification.settings, port):
                return holder
        return None

    return holds


def _published(settings: Settings | None, port: str) -> bool:
    return settings is not None and any(each.on_host == port for each in settings.published)


async def _deployments(gateway: Gateway, organization: str, service: str) -> set[str]:
    """Those that run, or are to run."""
    found = {open_.id for open_ in await gateway.memory(OpenDeployments).of(service)}
    head = await gateway.store.head(Subject(organization, "rollout", service))
    last = head.events[-1] if head else None
    if isinstance(last, RolloutEvent):
        serving = None if last.state.stopped else last.state.serving
        found |= {release.deployment for release in (serving, last.state.wanted) if release}
    return found
