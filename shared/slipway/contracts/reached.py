"""The names under which a service is reached in its environment, where no other has them. Pure."""

from slipway.contracts.values import RawSettings, Settings


def workload_name(service: str, workload: str) -> str:
    """Of one of several."""
    return f"{service}-{workload}"


def names(service: str, settings: Settings | None) -> tuple[str, ...]:
    """Its own first. Workloads that have aliases of their own say these, and jobs have no name."""
    if not isinstance(settings, RawSettings):
        return (service,)
    reached = (each.name for each in settings.workloads if not each.job and not each.aliases)
    return (service, *(workload_name(service, each) for each in reached))
