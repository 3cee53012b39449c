import pytest
from slipway.contracts.values import ScopedVariables, Sealed, Variable
from slipway.contracts.variables import UnknownReference, resolve
from slipway.sealing import (
    CannotOpen,
    Opener,
    OrganizationKey,
    generate,
    open_sealed,
    place,
    seal,
    wrap,
)
from slipway.sealing.box import public_of


def test_what_is_sealed_opens_only_with_its_key_at_its_place():
    pair, other = generate(), generate()
    sealed = seal(pair.public, "org", "hunter2", place("org", "project", "PASSWORD"))
    assert "hunter2" not in sealed.text
    assert open_sealed(pair.private, sealed, "org/project/PASSWORD") == "hunter2"
    with pytest.raises(CannotOpen):
        open_sealed(pair.private, sealed, "org/project/OTHER")
    with pytest.raises(CannotOpen):
        open_sealed(other.private, sealed, "org/project/PASSWORD")


async def test_the_opener_needs_the_masters_private_half():
    master, pair = generate(), generate()
    wrapped = {"org": wrap(master.public, pair, "org")}

    async def wrapped_of(organization: str) -> bytes | None:
        return wrapped.get(organization)

    key = await Opener(master.private, wrapped_of).for_organization("org")
    sealed = seal(pair.public, "org", "s3", place("org", "service", "KEY"))
    scopes = [
        ScopedVariables(scope="project", items=(Variable(name="HOST", value="db"),)),
        ScopedVariables(
            scope="service",
            items=(
                Variable(name="KEY", sealed=sealed),
                Variable(name="URL", value="x://${{project.HOST}}/${{KEY}}"),
            ),
        ),
    ]
    assert resolve(scopes, key.open) == {"HOST": "db", "KEY": "s3", "URL": "x://db/s3"}
    with pytest.raises(CannotOpen):
        await Opener(generate().private, wrapped_of).for_organization("org")
    with pytest.raises(CannotOpen):
        await Opener(master.private, wrapped_of).for_organization("stranger")


async def test_an_organizations_key_is_asked_for_once():
    master, pair = generate(), generate()
    asked: list[str] = []

    async def wrapped_of(organization: str) -> bytes | None:
        asked.append(organization)
        return wrap(master.public, pair, organization)

    opener = Opener(master.private, wrapped_of)
    first = await opener.for_organization("org")
    assert await opener.for_organization("org") is first
    await opener.for_organization("other")
    assert asked == ["org", "other"]


PRIVATE = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
OWN = OrganizationKey("org", PRIVATE)


@pytest.mark.parametrize("plain", [b"", b"hunter2", bytes(range(256)) * 4096])
def test_an_object_is_opened_as_it_was_sealed(plain: bytes):
    sealed = OWN.seal_object(plain, "d1.1")
    assert plain not in sealed or not plain
    assert OWN.open_object(sealed, "d1.1") == plain
    assert OWN.seal_object(plain, "d1.1") != sealed, "nobody sees that two are the same"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (OWN, "d2.1"),
        (OrganizationKey("other", PRIVATE), "d1.1"),
        (OrganizationKey("org", generate().private), "d1.1"),
    ],
)
def test_an_object_opens_only_where_it_lies_and_with_its_key(key: OrganizationKey, name: str):
    sealed = OWN.seal_object(b"hunter2", "d1.1")
    with pytest.raises(CannotOpen):
        key.open_object(sealed, name)


def test_a_changed_object_does_not_open():
    sealed = bytearray(OWN.seal_object(b"hunter2" * 100, "d1.1"))
    at = len(sealed) // 2
    sealed[at] = ord("A") if sealed[at] != ord("A") else ord("B")
    with pytest.raises(CannotOpen):
        OWN.open_object(bytes(sealed), "d1.1")


def test_an_object_is_no_variable_and_no_variable_an_object():
    """Of the same key and name."""
    value = seal(public_of(PRIVATE), "org", "hunter2", place("org", "service", "NAME"))
    assert OWN.open(value, "service", "NAME") == "hunter2"
    with pytest.raises(CannotOpen):
        OWN.open_object(value.text.encode(), "NAME")
    sealed = OWN.seal_object(b"hunter2", "NAME")
    with pytest.raises(CannotOpen):
        OWN.open(Sealed(key="org", text=sealed.decode()), "service", "NAME")


def test_a_secret_is_another_for_each_purpose_and_each_key():
    secret = OWN.secret_for("workload digest")
    assert len(secret) == 32
    assert OrganizationKey("elsewhere", PRIVATE).secret_for("workload digest") == secret
    assert OWN.secret_for("another") != secret
    assert OrganizationKey("org", generate().private).secret_for("workload digest") != secret


def test_a_secret_never_changes():
    """Digests that were made with it would no longer be those of what runs."""
    assert (
        OWN.secret_for("workload digest").hex()
        == "d933f297160f039e78084bc173881bb85d2d33dcec183b49892a1aa5cb81690f"
    )


@pytest.mark.parametrize("value", ["${{A}}", "${{project.NOPE}}", "${{B}}"])
def test_an_unresolvable_reference_is_named(value: str):
    items = (Variable(name="A", value=value), Variable(name="B", value="${{B}}"))
    with pytest.raises(UnknownReference):
        resolve([ScopedVariables(scope="service", items=items)], lambda *_: "")


def test_a_variable_may_extend_its_farther_self():
    scopes = [
        ScopedVariables(scope="organization", items=(Variable(name="P", value="a"),)),
        ScopedVariables(scope="service", items=(Variable(name="P", value="${{P}}:b"),)),
    ]
    assert resolve(scopes, lambda *_: "") == {"P": "a:b"}
