"""Labels on everything made on the engine, and the names derived from the instance."""

INSTANCE = "slipway.instance"
ORGANIZATION = "slipway.org"
PROJECT = "slipway.project"
ENVIRONMENT = "slipway.environment"
SERVICE = "slipway.service"
"""The service's id."""
DEPLOYMENT = "slipway.deployment"
SPECIFICATION = "slipway.spec"
ATTEMPT = "slipway.attempt"


def network(instance: str, environment: str) -> str:
    """The environment's overlay network."""
    return f"{instance}_env_{environment}"


def release(instance: str, name: str, deployment: str) -> str:
    """The Swarm service of one deployment; at most 63 characters (a DNS label)."""
    tail = deployment.replace("-", "")[-12:]
    return f"{instance[:20]}-{name[:28]}-{tail}"


def control_network(instance: str) -> str:
    return f"{instance}_control"


def traefik_container(instance: str) -> str:
    return f"{instance}-traefik"


def image_repository(instance: str, service: str) -> str:
    """Images built here: tagged `<repository>:<deployment>`, run by their id."""
    return f"{instance}/{service}"
