import pytest
from builder.build.redact import redactor


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
        (["  padded  "], "value padded here", "value *** here"),
    ],
)
def test_exactly_the_secrets_are_hidden(secrets: list[str], line: str, shown: str):
    assert redactor(secrets)(line) == shown
