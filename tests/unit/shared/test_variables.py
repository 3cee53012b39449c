"""Variables: the nearest scope wins, references are resolved."""

import pytest
from slipway.contracts.values import Scope, ScopedVariables, Sealed, Variable
from slipway.contracts.variables import UnknownReference, merged, references, resolve


def scope(name: Scope, **values: str) -> ScopedVariables:
    items = tuple(Variable(name=key, value=value) for key, value in values.items())
    return ScopedVariables(scope=name, items=items)


def resolved(*scopes: ScopedVariables) -> dict[str, str]:
    return resolve(scopes, lambda sealed, where, name: f"<{sealed.text} of {where}/{name}>")


RESOLVED: dict[str, tuple[list[ScopedVariables], dict[str, str]]] = {
    "nothing": ([], {}),
    "plain": ([scope("service", A="1")], {"A": "1"}),
    "the nearest wins": (
        [scope("service", A="near"), scope("organization", A="far", B="b")],
        {"A": "near", "B": "b"},
    ),
    "a reference to the nearest": (
        [scope("project", H="far"), scope("service", H="near", U="x://${{H}}/")],
        {"H": "near", "U": "x://near/"},
    ),
    "a reference to one scope": (
        [scope("project", H="far"), scope("service", H="near", U="${{project.H}}")],
        {"H": "near", "U": "far"},
    ),
    "a far one refers to a near one": (
        [scope("organization", U="${{H}}"), scope("service", H="near")],
        {"H": "near", "U": "near"},
    ),
    "through several": (
        [scope("service", A="${{B}}!", B="${{C}}!", C="c")],
        {"A": "c!!", "B": "c!", "C": "c"},
    ),
    "its own name means the farther one": (
        [
            scope("organization", P="/bin"),
            scope("environment", P="${{P}}:/env"),
            scope("service", P="${{P}}:/app"),
        ],
        {"P": "/bin:/env:/app"},
    ),
    "several in one value": (
        [scope("service", A="a", B="${{A}}-${{ A }}-${{service.A}}")],
        {"A": "a", "B": "a-a-a"},
    ),
    "what is no reference stays": (
        [scope("service", A="$HOME ${HOME} {{B}} ${{ }} ${{1B}} ${{A B}}")],
        {"A": "$HOME ${HOME} {{B}} ${{ }} ${{1B}} ${{A B}}"},
    ),
    "names in order": ([scope("service", B="2", A="1")], {"A": "1", "B": "2"}),
}


@pytest.mark.parametrize("case", RESOLVED)
def test_resolved(case: str):
    scopes, values = RESOLVED[case]
    found = resolved(*scopes)
    assert found == values
    assert list(found) == sorted(found)


REFUSED: dict[str, tuple[list[ScopedVariables], str]] = {
    "unknown": ([scope("service", A="${{B}}")], "${{B}}"),
    "unknown scope": ([scope("service", A="${{team.B}}", B="")], "${{team.B}}"),
    "not in that scope": ([scope("service", A="${{project.B}}", B="")], "${{project.B}}"),
    "itself, and none farther": ([scope("service", A="${{A}}")], "${{A}}"),
    "a circle": ([scope("service", A="${{B}}", B="${{A}}")], "${{"),
    "a circle by scope": ([scope("service", A="${{service.A}}")], "${{service.A}}"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reference(case: str):
    scopes, reference = REFUSED[case]
    with pytest.raises(UnknownReference) as caught:
        resolved(*scopes)
    assert reference in caught.value.reference
    assert caught.value.name in {"A", "B"}


def test_references_cant_grow_without_end():
    grown = {f"V{n}": f"${{{{V{n + 1}}}}}" * 16 for n in range(4)} | {"V4": "x" * 16}
    with pytest.raises(UnknownReference):
        resolved(scope("service", **grown))


def test_a_secret_is_opened_where_it_stands():
    secret = Variable(name="KEY", sealed=Sealed(key="org", text="s"))
    scopes = [
        ScopedVariables(scope="project", items=(secret,)),
        scope("service", URL="x://${{KEY}}@db"),
    ]
    assert resolved(*scopes) == {
        "KEY": "<s of project/KEY>",
        "URL": "x://<s of project/KEY>@db",
    }


def test_where_each_comes_from():
    found = merged([scope("project", A="1", B="1"), scope("service", A="2")])
    assert {name: where for name, (where, _) in found.items()} == {
        "A": "service",
        "B": "project",
    }


def test_all_references_of_a_value():
    assert references("${{A}} ${{project.B}} $C") == [(None, "A"), ("project", "B")]
