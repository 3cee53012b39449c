"""How much a program may be given of variables."""

import pytest
from builder.build.failures import BuildError
from builder.build.variables import opened
from slipway.contracts.values import Scope, ScopedVariables, Sealed, Variable


def unsealed(_sealed: Sealed, _scope: Scope, _name: str) -> str:
    raise AssertionError


def of(values: dict[str, str]) -> tuple[ScopedVariables, ...]:
    items = tuple(Variable(name=name, value=value) for name, value in values.items())
    return (ScopedVariables(scope="service", items=items),)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"A": "x" * 131_001}, "variable-too-large"),
        ({"A": "€" * 44_000}, "variable-too-large"),
        ({"A": "x" * 50_000, "B": "${{A}}" * 3}, "variable-too-large"),
        ({f"A{number}": "x" * 100_000 for number in range(6)}, "variables-too-large"),
        ({"A": "x" * 50_000, **{f"Z{n}": "${{A}}${{A}}" for n in range(5)}}, "variables-too-large"),
    ],
)
def test_what_is_more_than_a_program_is_given_is_said(values: dict[str, str], reason: str):
    with pytest.raises(BuildError) as raised:
        opened(of(values), unsealed)
    assert raised.value.failure.reason == reason


def test_what_fits_is_opened():
    assert len(opened(of({f"A{n}": "x" * 100_000 for n in range(5)}), unsealed).values) == 5


def test_a_secret_is_hidden_as_programs_have_it_and_one_that_nobody_has_as_it_is():
    def sealed(name: str, text: str) -> Variable:
        return Variable(name=name, sealed=Sealed(key="o", text=text))

    host = Variable(name="HOST", value="hooks.example")
    far = (sealed("PART", "s3cr3t-${{HOST}}"), sealed("HOOK", "${{GONE}} far"))
    near = (sealed("HOOK", "https://${{HOST}}/T0/${{PART}}"), host)
    scopes = (
        ScopedVariables(scope="project", items=far),
        ScopedVariables(scope="service", items=near),
    )
    found = opened(scopes, lambda value, *_: value.text)
    hook = "https://hooks.example/T0/s3cr3t-hooks.example"
    assert found.values["HOOK"] == hook
    assert found.hidden == ["s3cr3t-hooks.example", "${{GONE}} far", hook]
