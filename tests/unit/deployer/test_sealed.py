"""What the builder has sealed is opened only as it was made, and only where it lies."""

import hashlib
from traceback import format_exception

import pytest
from deployer.rollout.sealed import Missing, SealedWorkloads
from slipway.contracts.build import WorkloadsObject
from slipway.contracts.workload import MAIN, Workload, Workloads, to_json
from slipway.eventstore.memory import MemoryObjects
from slipway.sealing import CannotOpen, Opener, OrganizationKey, generate, wrap
from slipway.testing.releases import IMAGE

MASTER, PAIR, OTHER = generate(), generate(), generate()
PAIRS = {"org": PAIR, "other": OTHER}
MADE = Workloads(
    items=(
        Workload(name=MAIN, image=IMAGE, environment={"PASSWORD": "hunter2"}),
        Workload(name="db", image=IMAGE, aliases=("db",), port=5432),
    )
)


async def wrapped_of(organization: str) -> bytes | None:
    pair = PAIRS.get(organization)
    return wrap(MASTER.public, pair, organization) if pair else None


async def sealed(
    name: str, *, lies_at: str = "", plain: bytes = to_json(MADE)
) -> tuple[SealedWorkloads, WorkloadsObject]:
    """For `org`; `lies_at`: under another name than it was sealed for."""
    data = OrganizationKey("org", PAIR.private).seal_object(plain, name)
    assert b"hunter2" not in data
    objects = MemoryObjects()
    await objects.put(lies_at or name, data)
    where = WorkloadsObject(name=lies_at or name, hash=hashlib.sha256(data).hexdigest())
    return SealedWorkloads(objects, Opener(MASTER.private, wrapped_of)), where


async def test_what_was_sealed_is_opened_whole():
    workloads, where = await sealed("d1.1")
    assert await workloads.opened("org", where) == MADE


async def test_what_is_not_there_is_missing():
    workloads, where = await sealed("d1.1")
    with pytest.raises(Missing, match=r"no object d1\.2"):
        await workloads.opened("org", where.model_copy(update={"name": "d1.2"}))


async def test_another_than_the_log_says_is_not_taken():
    """Though it was sealed to the right key, for the right name."""
    workloads, where = await sealed("d1.1")
    another, _ = await sealed("d1.1")
    assert await workloads.opened("org", where) == MADE
    with pytest.raises(Missing, match="another than the build has made"):
        await another.opened("org", where)


async def test_one_that_was_sealed_for_another_place_is_not_opened():
    workloads, where = await sealed("d1.1", lies_at="d2.1")
    with pytest.raises(CannotOpen):
        await workloads.opened("org", where)


async def test_of_what_a_newer_release_sealed_nothing_is_said():
    """Neither where it is told nor in the log of the deployer."""
    newer = to_json(MADE).replace(b'"hunter2"', b'{"of": "hunter2"}')
    workloads, where = await sealed("d1.1", plain=newer)
    with pytest.raises(Missing, match=r"the object d1\.1 can't be read") as raised:
        await workloads.opened("org", where)
    assert "hunter2" not in "".join(format_exception(raised.value))


@pytest.mark.parametrize("organization", ["other", "stranger"])
async def test_nobody_elses_are_opened(organization: str):
    workloads, where = await sealed("d1.1")
    with pytest.raises(CannotOpen):
        await workloads.opened(organization, where)
