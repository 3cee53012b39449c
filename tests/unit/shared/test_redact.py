import pytest
from slipway.contracts.redact import redactor


@pytest.mark.parametrize(
    ("secrets", "line", "shown"),
    [
        ([], "hunter2", "hunter2"),
        (["hunter2"], "password is hunter2!", "password is ***!"),
        (["hunter2"], "hunter2hunter2", "******"),
        (["hunter2"], "HUNTER2", "HUNTER2"),
        (["abc", "abcdef"], "abcdef abc", "*** ***"),
        (["a.c"], "abc a.c", "abc ***"),
        (["", "  ", "\n"], "nothing is hidden", "nothing is hidden"),
        (["-----BEGIN\nMIIE\n-----END"], "key: MIIE", "key: ***"),
        (['{\n  "token": "a1"\n}'], '{"a": 1} "token": "a1"', '{"a": 1} ***'),
        (["pin\n"], "pin", "***"),
        (["two\nlines", "alone"], "lines\nalone", "***\n***"),
        (["bcdef", "ab"], "abcdef", "a***"),
        (["  padded  "], "value padded here", "value *** here"),
    ],
)
def test_exactly_the_secrets_are_hidden(secrets: list[str], line: str, shown: str):
    assert redactor(secrets)(line) == shown
