import base64
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from slipway.contracts.redact import Redactor

KEY = 'tr/e+ <\u00e4>"&\\ 27'


@pytest.mark.parametrize(
    ("secrets", "line", "shown"),
    [
        ([], "hunter2", "hunter2"),
        (["hunter2"], "password is hunter2!", "password is ***!"),
        (["hunter2"], "hunter2hunter2", "******"),
        (["hunter2"], "HUNTER2", "HUNTER2"),
        (["hunter", "hunter2"], "hunter2 hunter", "*** ***"),
        (["hu.ter"], "hunter hu.ter", "hunter ***"),
        (["", "  ", "\n"], "nothing is hidden", "nothing is hidden"),
        (["-----BEGIN\nMIIEpA\n-----END"], "key: MIIEpA", "key: ***"),
        (['{\n  "token": "a1"\n}'], '{"a": 1} "token": "a1"', '{"a": 1} ***'),
        (["hunter2\n"], "hunter2", "***"),
        (["second\nlines\nhunter2", "alone!"], "hunter2\nalone!", "***\n***"),
        (["bcdefgh", "xabcdef"], "abcdefgh", "a***"),
        (["  padded  "], "value padded here", "value *** here"),
        (["no", "on", "12345"], "no, on 12345", "no, on 12345"),
        (["hunter2"], "a \x1b[1mhun\x1b[0mter2", "a ***"),
    ],
)
def test_exactly_the_secrets_are_hidden(secrets: list[str], line: str, shown: str):
    assert Redactor(secrets)(line) == shown


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(KEY)[1:-1],
        json.dumps(KEY, ensure_ascii=False)[1:-1],
        quote(KEY, safe=""),
        quote(KEY),
        quote_plus(KEY),
    ],
)
def test_what_is_written_otherwise_is_hidden(written: str):
    assert Redactor([KEY])(f"key={written};") == "key=***;"


@pytest.mark.parametrize("before", ["", "a", "u:", "me:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_in_base64_it_is_hidden_wherever_it_begins(before: str, encode: Callable[[bytes], bytes]):
    digits = encode(f"{before}{KEY}\n".encode()).decode()
    shown = Redactor([KEY])(f"Basic {digits}")
    assert "***" in shown
    assert len(shown) < len("Basic ***") + 2 * 4


def test_what_a_line_assigns_is_hidden_by_itself():
    redact = Redactor(["# mine\nexport PASSWORD='hunter2'\nTOKEN = s3cr3t=\nSHORT=1\n"])
    assert redact("hunter2 s3cr3t= 1 TOKEN") == "*** *** 1 TOKEN"


def test_a_long_one_is_hidden_wherever_it_is_cut():
    long, other = "s3cr3t-" + "abcdefghij" * 500, "s3cr3t-" + "abcdefghij" * 30 + "!"
    redact = Redactor([long, other])
    for length in (32, 300, 309, 4000):
        assert redact(f"it is {long[:length]}") == "it is ***"
    assert redact(f"{other}\n{long[:99]}?") == "***\n***?"


def test_many_cost_no_more_than_few():
    """All that four levels of variables and secret files may hold, in lines of seven letters."""
    secrets = ["\n".join(f"{number:07x}" for number in range(at, at + 8000)) for at in (0, 8000)]
    redact, text = Redactor(secrets), "0001f3f is, and 00030d4z\n" * 160
    began = time.process_time()
    assert redact(text) == "*** is, and ***z\n" * 160
    assert time.process_time() - began < 0.05
