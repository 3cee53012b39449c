"""A feature's folder holds only files whose name promises what is in them; what says of itself that
it is pure is held to it."""

import ast
import configparser
import fnmatch
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

ROOMS = {
    "__init__",
    "domain",  # what may happen: commands, state, decide, evolve
    "plan",  # observed and wanted → steps
    "render",  # values → a document
    "react",  # whenever X, then Y
    "read",  # a projection and its queries
    "routes",  # HTTP in and out
    "manifest",  # what a feature of the gateway brings along
    "schema",  # the bodies which routes take and give
    "explain",  # what happened, in the words that users read
}
PARTS = {
    "adapters", "http", "sources", "builders", "kinds", "workloads", "engines", "compose",
    "strategies",
    "providers",
}  # fmt: skip
"""Folders of interchangeable parts, or of doors to the outside: a file there is named after it."""

EXCEPTIONS = {
    "api_gateway.admin.carried_out": "what operators asked for, remembered by its key",
    "api_gateway.deployments.carried": "who still runs under a name, for whoever wants it",
    "api_gateway.deployments.dead": "the end of what could not be handled",
    "api_gateway.deployments.projections": "several projections, read by several modules",
    "api_gateway.deployments.history": "what a service's deployments ran, from the log",
    "api_gateway.deployments.logs": "a stream that joins two stores, beside the other routes",
    "api_gateway.deployments.open": "a fold in memory of what has not ended",
    "api_gateway.deployments.request": "how each trigger becomes a deployment",
    "api_gateway.events.cloudevents": "the outer form of an event, named after its standard",
    "api_gateway.identity.passwords": "hashing, in a thread of its own",
    "api_gateway.identity.throttle": "the memory of failed sign-ins",
    "api_gateway.organizations.limits": "what builds may take, for routes and requests",
    "api_gateway.organizations.creation": "what several routes do to make one",
    "api_gateway.projects.tree": "a view that many features' events make",
    "api_gateway.services.consistent": "what is said of a program fits together",
    "api_gateway.services.resources": "what a program is given of the host, as clients say it",
    "api_gateway.variables.scopes": "where variables come from, for routes and requests",
    "api_gateway.webhooks.delivery": "a body of bounded size, and its room",
    "api_gateway.webhooks.push": "what git servers send, as values",
    "builder.build.deadline": "how long a build may work, and when that stands still",
    "builder.build.failures": "why a build failed, in words",
    "builder.build.job": "what every source and builder is given",
    "builder.build.limits": "what an organization's builds may take, from the log",
    "builder.build.log": "the build's output on its way to the log",
    "builder.build.progress": "BuildKit's output as values",
    "builder.build.room": "whether the disk has room, and who takes too much of it",
    "builder.build.slots": "whose turn it is",
    "builder.build.stages": "which steps of a Dockerfile are given secrets, and with what they ran",
    "builder.build.variables": "a deployment's variables, opened",
    "builder.build.watched": "a build or a clone, ended when it takes too much",
    "builder.build.work": "one build from source to what is to run",
    "builder.buildkit.crowd": "what was ended and goes on is killed",
    "builder.images.collection": "what removed images leave is collected, whoever removes them",
    "builder.registry.gate": "whether anybody may push now",
    "builder.cloning.__main__": "the program that clones, in another container",
    "builder.cloning.entries": "a folder on its way between the two",
    "builder.cloning.order": "what is to be cloned and what came of it, for both",
    "builder.cloning.watch": "git, ended when it takes too much",
    "deployer.rollout.bringing": "the part of a plan that brings a release up",
    "deployer.rollout.counting": "the tasks of all services, counted and told",
    "deployer.rollout.creating": "what a release consists of, and each of its Swarm services made",
    "deployer.rollout.hosts": "under which host a workload is asked, from the log",
    "deployer.rollout.masks": "what takes a deployment's secrets out of texts, held for its turn",
    "deployer.rollout.observe": "what the engine shows, as plan's input",
    "deployer.rollout.printed": "what programs print, without secrets",
    "deployer.rollout.releases": "the releases of all services, in one question to the engine",
    "deployer.rollout.sealed": "what a build has sealed, opened",
    "deployer.rollout.step": "the steps that a plan may take, as values",
    "deployer.rollout.steps": "each step of a plan, carried out",
    "deployer.rollout.undoing": "the part of a plan that undoes a release",
    "metrics.anchors.chain": "hashes and signatures",
    "metrics.logs.batch": "lines in batches of bounded size",
    "metrics.logs.ledger": "how far each container has been read",
    "metrics.logs.position": "where in a log",
    "metrics.logs.reader": "one container's log",
    "proxy_sync.routing.facts": "what routing appends",
    "proxy_sync.routing.gap": "the part of a plan for what stands still for a moment",
    "proxy_sync.routing.hosts": "a fold that every process keeps for itself",
    "proxy_sync.routing.observe": "the log and the tasks, as plan's input",
    "proxy_sync.routing.probes": "asking tasks through the proxy",
    "proxy_sync.routing.tasks": "the tasks' list, polled",
}
"""Module → why no name of the above says what it is."""


def modules() -> Iterator[tuple[str, Path]]:
    for top in (ROOT / "shared", *(ROOT / "services").iterdir()):
        for path in sorted(top.glob("*/**/*.py")):
            if "clients" not in path.parts:
                yield ".".join(path.relative_to(top).with_suffix("").parts), path


def unnamed(names: list[str]) -> list[str]:
    """Modules of features whose file's name says nothing."""
    deep = [name.split(".") for name in names if name.count(".") > 1]
    return [
        ".".join(parts) for parts in deep if parts[-1] not in ROOMS and not PARTS & set(parts[1:-1])
    ]


def test_a_feature_holds_only_known_rooms():
    found = unnamed([name for name, _ in modules() if not name.startswith("slipway.")])
    assert set(found) - set(EXCEPTIONS) == set(), "name it after the table, or give a reason"
    assert set(EXCEPTIONS) - set(found) == set(), "these are gone: take them off the list"


def test_another_room_is_found():
    planted = ["api_gateway.projects.helper", "builder.build.deep.routes", "builder.app"]
    planted += ["builder.sources.git", "deployer.rollout.strategies.start_first"]
    assert unnamed(planted) == ["api_gateway.projects.helper"]


def says_pure(source: str) -> bool:
    sentence = (ast.get_docstring(ast.parse(source)) or "").replace(";", ".")
    return any(each.strip() == "Pure" for each in sentence.split("."))


def held() -> list[str]:
    configuration = configparser.ConfigParser()
    configuration.read(ROOT / ".importlinter")
    return configuration["importlinter:contract:pure"]["source_modules"].split()


def uncovered(names: list[str], patterns: list[str]) -> list[str]:
    return [
        name
        for name in names
        if not any(
            fnmatch.fnmatch(name, pattern) or name.startswith(f"{pattern}.") for pattern in patterns
        )
    ]


def test_what_says_that_it_is_pure_is_under_the_contract():
    pure = [name for name, path in modules() if says_pure(path.read_text())]
    assert len(pure) >= 20
    assert uncovered(pure, held()) == []
    names = [name for name, _ in modules()]
    assert [pattern for pattern in held() if len(uncovered(names, [pattern])) == len(names)] == []


def test_what_decides_plans_or_renders_is_under_the_contract():
    rooms = [name for name, _ in modules() if name.split(".")[-1] in {"domain", "plan", "render"}]
    assert uncovered(rooms, held()) == []


def test_a_pure_module_outside_the_contract_is_found():
    assert says_pure('"""What is said.\n\nPure; no more."""')
    assert not says_pure('"""Two pure functions. Pure ones."""')
    assert uncovered(["api_gateway.projects.facts", "metrics.logs.render"], held()) == [
        "api_gateway.projects.facts"
    ]
