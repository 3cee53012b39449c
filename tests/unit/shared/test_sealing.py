import pytest
from slipway.contracts.values import ScopedVariables, Variable
from slipway.contracts.variables import UnknownReference, resolve
from slipway.sealing import CannotOpen, Opener, generate, open_sealed, place, seal, wrap


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

    unseal = await Opener(master.private, wrapped_of).for_organization("org")
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
    assert resolve(scopes, unseal) == {"HOST": "db", "KEY": "s3", "URL": "x://db/s3"}
    with pytest.raises(CannotOpen):
        await Opener(generate().private, wrapped_of).for_organization("org")
    with pytest.raises(CannotOpen):
        await Opener(master.private, wrapped_of).for_organization("stranger")


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
