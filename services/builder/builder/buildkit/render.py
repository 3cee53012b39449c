"""The BuildKit of an organization: its container, its network, its settings. Pure."""

from collections.abc import Mapping
from typing import Any

from slipway.contracts import labels
from slipway.contracts.limits import BuildLimits

START = "/etc/slipway/start.sh"
CONF = "/etc/slipway/buildkitd.toml"
SOCKET = "/run/buildkit/buildkitd.sock"
LIFELINE = "/usr/lib/slipway/lifeline"
"""Where it is in the control image."""
_STATE = "/var/lib/buildkit"
_SHARES = 128
"""Of a processor that everybody wants: an eighth of what the engine gives each other container."""


def cache(limits: BuildLimits) -> int:
    """Bytes: what is kept from build to build. The other half is for what a build adds."""
    return limits.disk // 2


CLONING_MEMORY = 1 << 30
"""Bytes of an organization's clones together."""
CLONING_PROCESSES = 256


def start_script() -> str:
    """It begins once the guard's rules stand. The engine gives containers their control groups
    read-only; BuildKit makes one for each step, below the container's own. Version 2 has groups of
    processes at the leaves alone."""
    return f"""\
set -e
until /.slipway/lifeline guarded; do sleep 0.2; done
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -o remount,rw /sys/fs/cgroup || mount -o remount,bind,rw /sys/fs/cgroup
    mkdir -p /sys/fs/cgroup/init
    xargs -rn1 </sys/fs/cgroup/cgroup.procs >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || :
    sed -e 's/ / +/g' -e 's/^/+/' </sys/fs/cgroup/cgroup.controllers \\
        >/sys/fs/cgroup/cgroup.subtree_control
else
    for group in /sys/fs/cgroup/*; do
        if mountpoint -q "$group"; then mount -o remount,bind,rw "$group"; fi
    done
    mount -o remount,bind,rw /sys/fs/cgroup
fi
exec buildkitd --config {CONF}
"""


def configuration(registry: str, limits: BuildLimits) -> str:
    """`registry`: its address in the network of builds. Steps run in the container's network, so
    the engine's resolver is theirs too. What the registry's library lacks comes from Docker Hub."""
    return f"""\
root = "{_STATE}"
[grpc]
  address = ["unix://{SOCKET}"]
[dns]
  nameservers = ["127.0.0.11"]
[history]
  maxEntries = 0
[worker.containerd]
  enabled = false
[worker.oci]
  enabled = true
  networkMode = "host"
  gc = true
  maxUsedSpace = {cache(limits)}
  reservedSpace = {cache(limits) // 10}
  minFreeSpace = "10%"
[registry."docker.io"]
  mirrors = ["{registry}"]
[registry."{registry}"]
  http = true
"""


def files(registry: str, limits: BuildLimits) -> dict[str, str]:
    return {START: start_script(), CONF: configuration(registry, limits)}


def container(
    instance: str, organization: str, image: str, limits: BuildLimits, processors: float
) -> dict[str, Any]:
    """The body for the engine's `POST /containers/create`. Mounts and control groups are made by
    it, hence its capabilities; a step gets the engine's usual ones, in namespaces of its own."""
    name = labels.build_network(instance, organization)
    return {
        "Image": image,
        "Entrypoint": ["sh", START],
        "Labels": _labels(instance, organization),
        "HostConfig": {
            "NetworkMode": name,
            "CapAdd": ["SYS_ADMIN", "NET_ADMIN"],
            "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
            **_resources(limits.memory, limits.processes, processors),
            "Mounts": [
                {"Type": "volume", "Source": name, "Target": _STATE},
                {
                    "Type": "volume",
                    "Source": f"{instance}_lifeline",
                    "Target": "/.slipway",
                    "ReadOnly": True,
                },
            ],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
        },
    }


def cloning(instance: str, organization: str, image: str, processors: float) -> dict[str, Any]:
    """The body of the container in which repositories are cloned: nobody, without any right, and
    not before the guard's rules stand. What a clone leaves is gone with the container."""
    return {
        "Image": image,
        "Entrypoint": [LIFELINE, "run", "--drain", "0", "--guarded", "--", "sleep", "infinity"],
        "Cmd": [],
        "User": "65534:65534",
        "Labels": _labels(instance, organization),
        "HostConfig": {
            "NetworkMode": labels.build_network(instance, organization),
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            **_resources(CLONING_MEMORY, CLONING_PROCESSES, processors),
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
        },
    }


def _resources(memory: int, processes: int, processors: float) -> dict[str, int]:
    """What can be changed while it runs."""
    return {
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": processes,
        "NanoCpus": int(processors * 10**9),
        "CpuShares": _SHARES,
    }


def resources(body: Mapping[str, Any]) -> dict[str, Any]:
    """Of a container's body, for the engine's `POST /containers/{name}/update`."""
    return {name: body["HostConfig"][name] for name in _resources(0, 0, 0)}


def network(instance: str, organization: str) -> dict[str, Any]:
    """The body for the engine's `POST /networks/create`. By its bridge's name the guard's rules say
    what a build reaches."""
    bridge = labels.builds_bridge(instance, organization)
    return {
        "Name": labels.build_network(instance, organization),
        "Driver": "bridge",
        "Options": {"com.docker.network.bridge.name": bridge},
        "Labels": _labels(instance, organization),
    }


def volume(instance: str, organization: str) -> dict[str, Any]:
    return {
        "Name": labels.build_network(instance, organization),
        "Labels": _labels(instance, organization),
    }


def _labels(instance: str, organization: str) -> dict[str, str]:
    return {labels.INSTANCE: instance, labels.ORGANIZATION: organization}
