"""What masks texts is made once for a deployment's turn, and takes bounded memory."""

import asyncio
from typing import cast

from deployer.rollout.masks import Masks
from deployer.rollout.observe import Memory, _shown
from deployer.rollout.sealed import Missing, SealedWorkloads
from slipway.contracts.build import WorkloadsObject
from slipway.contracts.workload import Workloads, from_json
from slipway.testing.releases import release

from tests.simulation.world import virtual


class Sealed:
    def __init__(self) -> None:
        self.opened_ = list[str]()
        self.lost = False
        self.hidden: tuple[str, ...] | None = ("hunter2",)

    async def opened(self, organization: str, where: WorkloadsObject) -> Workloads:
        self.opened_.append(where.name)
        if self.lost:
            raise Missing("it is gone")
        return Workloads(items=(), hidden=self.hidden)


def made(most: int = 1 << 20) -> tuple[Masks, Sealed]:
    sealed = Sealed()
    return Masks(cast("SealedWorkloads", sealed), most), sealed


@virtual
async def test_secrets_are_opened_once_for_as_many_as_there_are():
    masks, sealed = made()
    for _ in range(3):
        for number in range(60):
            assert (await masks.of("o", release(f"d{number}")))("a hunter2") == "a ***"
    assert len(sealed.opened_) == 60


@virtual
async def test_what_was_asked_for_longest_ago_goes_first():
    masks, sealed = made()
    size = (await masks.of("o", release("d0"))).size  # type: ignore[union-attr]
    masks, sealed = made(size * 2)
    for one in ("d1", "d2", "d1", "d3", "d1"):
        await masks.of("o", release(one))
    assert len(sealed.opened_) == 3
    await masks.of("o", release("d2"))
    assert len(sealed.opened_) == 4


@virtual
async def test_one_that_is_larger_than_all_may_be_is_held_alone():
    masks, sealed = made(10)
    for one in ("d1", "d1", "d2", "d1"):
        await masks.of("o", release(one))
    assert len(sealed.opened_) == 3


@virtual
async def test_at_the_end_of_its_turn_it_is_let_go():
    masks, sealed = made()
    await masks.of("o", release("d1"))
    masks.drop("d1")
    await masks.of("o", release("d1"))
    assert len(sealed.opened_) == 2


@virtual
async def test_what_cant_be_opened_is_tried_again_after_some_seconds():
    masks, sealed = made()
    sealed.lost = True
    for _ in range(5):
        assert (await masks.of("o", release("d1")))("anything") == "***"
    assert len(sealed.opened_) == 1
    sealed.lost = False
    await asyncio.sleep(11)
    assert (await masks.of("o", release("d1")))("anything") == "anything"


@virtual
async def test_where_secrets_are_not_known_nothing_is_shown():
    """Of what was sealed before they were kept."""
    masks, sealed = made()
    sealed.hidden = from_json(b'{"items": []}').hidden
    assert (await masks.of("o", release("d1")))("hunter2") == "***"


async def test_an_answer_is_masked_again_only_where_it_is_another():
    asked, memory = list[str](), Memory()

    def mask(text: str) -> str:
        asked.append(text)
        return text.replace("hunter2", "***")

    for answer in ("a hunter2", "a hunter2", "b", "b", "a hunter2"):
        shown = await _shown(memory, "web", answer, mask)
        assert shown == answer.replace("hunter2", "***")
    assert await _shown(memory, "web", "a hunter2", lambda _: "***") == "***"
    assert asked == ["a hunter2", "b", "a hunter2"]
