"""Why a release was not routed to. Pure."""

from collections.abc import Sequence

from slipway.contracts.route import PORT_UNKNOWN, exposed
from slipway.contracts.values import Failure


def no_port(host: str, ports: Sequence[int]) -> Failure:
    """`ports` are those that the image exposes."""
    return Failure(
        reason=PORT_UNKNOWN,
        detail=f"it is not known to which port {host} leads: the image {exposed(ports)}",
        hint="set port on the service, or add the domain again with a port; then deploy again; what"
        " listens on nothing has no domain",
    )


def never_answered(seconds: float, last: str) -> Failure:
    return Failure(
        reason="no-answer",
        detail=f"it gave no good answer through the proxy within {seconds:.0f} s"
        + (f"; the last one: {last}" if last else ""),
        hint="look at the log of the service and at its port; without a health check any answer"
        " below 500 is good, the path of a health check has to answer 2xx or 3xx",
    )


def stopped_answering(last: str) -> Failure:
    return Failure(
        reason="stopped-answering",
        detail=f"it answered at first and then no longer: {last}",
        hint="look at the log of the service",
    )


def not_public(host: str, last: str) -> Failure:
    return Failure(
        reason="switch-failed",
        detail=f"after the switch {host} did not answer: {last}",
        hint="look at the log of the service, and of proxy-sync",
    )


def not_loaded() -> Failure:
    return Failure(
        reason="proxy-silent",
        detail="the proxy did not load the new routes in time",
        hint="look at the log of the proxy's container and of proxy-sync",
    )


def network_missing(network: str) -> Failure:
    return Failure(
        reason="network-missing",
        detail=f"the proxy could not join the environment's network: {network}",
        hint="deploy again; if it fails in the same way, look at the log of proxy-sync",
    )


def refused(words: str) -> Failure:
    return Failure(
        reason="engine-refused",
        detail=f"the engine refused to join the proxy to the environment's network: {words}",
        hint="deploy again; if it fails in the same way, look at the log of proxy-sync",
    )


def internal(deployment: str, step: str, error: Exception) -> Failure:
    """The error's own words are in the log of proxy-sync."""
    return Failure(
        reason="internal-error",
        detail=f"the platform itself failed again and again while it routed the deployment"
        f" {deployment} (step {step}, {type(error).__name__})",
        hint="deploy again; if it fails in the same way, give the operator the deployment's id:"
        " the log of proxy-sync says more",
    )
