"""The network of an organization's builds, and what its BuildKit waits for."""

from builder.buildkit import render
from slipway.contracts import labels
from slipway.contracts.limits import BuildLimits


def test_what_a_build_reaches_is_said_by_the_rules_of_the_guard():
    names = set[str]()
    for organization in ("org", "other"):
        options = render.network("slipway", organization)["Options"]
        names.add(options["com.docker.network.bridge.name"])
    assert len(names) == 2
    assert all(name.startswith(labels.egress_bridges("slipway")) for name in names)
    assert not any(name.startswith(labels.workloads_bridges("slipway")) for name in names)
    mounts = render.container("slipway", "org", "image", BuildLimits(), 1.0)["HostConfig"]["Mounts"]
    assert ("slipway_lifeline", "/.slipway") in [(at["Source"], at["Target"]) for at in mounts]
    lines = render.start_script().splitlines()
    assert lines[1].startswith("until /.slipway/lifeline guarded;"), "before all else"
