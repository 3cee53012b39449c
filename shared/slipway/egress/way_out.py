"""The way out of workloads as the engine is asked for it. Pure."""

from typing import Any

from slipway.contracts import labels


def networks(instance: str, mark: str, number: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bodies of `POST /networks/create`, in this order: what each node has to know of the bridge,
    and the network of the whole swarm. `number`: how often another one had to take its place;
    `mark`: see `labels.workloads_bridge`."""
    configuration = labels.egress_configuration(instance, number)
    of_node = {
        "Name": configuration,
        "ConfigOnly": True,
        "Labels": {labels.INSTANCE: instance},
        "Options": {
            "com.docker.network.bridge.name": labels.workloads_bridge(instance, mark),
            "com.docker.network.bridge.enable_icc": "false",
        },
    }
    of_swarm = {  # it can't have a label: on each node it gets those of the configuration
        "Name": labels.egress_network(instance, number),
        "Driver": "bridge",
        "Scope": "swarm",
        "ConfigFrom": {"Network": configuration},
    }
    return of_node, of_swarm
