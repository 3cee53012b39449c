"""What the features' manifests say together."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from api_gateway.app import FEATURES, PARTS
from api_gateway.feature import Feature, Features
from api_gateway.http.application import build
from api_gateway.projects.domain import PROJECT
from api_gateway.projects.manifest import FEATURE as PROJECTS
from slipway.contracts.event import REGISTRY
from slipway.contracts.project import ProjectCreated
from slipway.contracts.streams import APPENDS
from slipway.eventstore.memory import MemoryStore
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Document, Projection
from slipway.readmodel.projector import Projector
from slipway.runtime.clock import SystemClock


def test_every_operation_has_a_right_in_one_manifest():
    paths = build(None, FEATURES).openapi()["paths"]  # pyright: ignore[reportArgumentType]
    operations = [one["operationId"] for item in paths.values() for one in item.values()]
    assert sorted(operations) == sorted(FEATURES.needs)


def test_an_operation_without_a_right_is_named():
    features = Features(replace(PROJECTS, needs={}))
    with pytest.raises(LookupError, match="no manifest says what list_projects needs"):
        build(None, features).openapi()  # pyright: ignore[reportArgumentType]


def test_every_category_has_its_decider():
    """Those that this service alone may append to."""
    assert sorted(decider.category for decider in FEATURES.deciders) == sorted(
        APPENDS["api-gateway"]
    )


def test_what_is_folded_is_named_after_what_is_appended():
    categories = {wire.partition(".")[0] for wire in REGISTRY}
    for projection in FEATURES.projections:
        assert categories.issuperset(projection.categories), projection.collection


@pytest.mark.parametrize(
    "twice", [Feature(needs={"health": "nothing"}), Feature(deciders=(PROJECT,))]
)
def test_nothing_is_declared_twice(twice: Feature):
    with pytest.raises(ValueError, match="in two manifests"):
        Features(twice, twice)


def test_every_projection_is_rebuilt_by_one_process():
    collections = [item.collection for part in PARTS for item in part.projections]
    assert sorted(collections) == sorted(item.collection for item in FEATURES.projections)


def test_a_list_has_pages():
    """What has items and a cursor takes one, and no more than 200 at a time; the variables of a
    level are one whole, which is written with at most 500."""
    description = build(None, FEATURES).openapi()  # pyright: ignore[reportArgumentType]
    lists: dict[str, dict[str, Any]] = {}
    for item in description["paths"].values():
        operation = item.get("get", {})
        answer = operation.get("responses", {}).get("200", {}).get("content", {})
        ref = answer.get("application/json", {}).get("schema", {}).get("$ref", "")
        schema = description["components"]["schemas"].get(ref.rpartition("/")[2], {})
        if {"items", "next"} <= schema.get("properties", {}).keys():
            given = {one["name"]: one["schema"] for one in operation["parameters"]}
            lists[operation["operationId"]] = given
    whole = {name for name in lists if name.endswith("_variables")}
    assert len(whole) == 4
    assert len(lists) > 8
    for name in lists.keys() - whole:
        assert lists[name]["limit"]["maximum"] == 200, name
        assert "cursor" in lists[name], name


class Counted(Projection):
    """A projection as somebody would add one: of the projects that there are."""

    collection = "counted"
    categories = ("project",)
    indexes = ()

    def keys(self, commit: Commit) -> list[str]:
        return ["all"]

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        return {"org": commit.subject.organization, "number": (document or {}).get("number", 0) + 1}


async def test_a_manifest_is_all_that_a_projection_needs():
    features = Features(PROJECTS, Feature(projections=(Counted(),)))
    assert features.version != Features(PROJECTS).version
    store, documents = MemoryStore(), MemoryDocuments()
    projector = Projector(store, documents, features.projections, features.version)
    running = asyncio.create_task(projector.run())
    for number in range(3):
        meta = Meta(f"c{number}", SystemClock().now(), Actor("service", "test"), "c")
        made = ProjectCreated(name="Shop", environment="e1")
        await store.append(Subject("o1", "project", f"p{number}"), NOTHING, [made], meta)
    assert await projector.wait_for(3, 5)
    running.cancel()
    found = await documents.get("counted", "all")
    assert found is not None
    assert found["number"] == 3
