"""What is cloned comes over as bytes, from where somebody may mean harm."""

import io
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from builder.cloning import entries
from builder.cloning.entries import BadStream, TooMuch
from builder.cloning.order import Cloned, Limits, NotCloned, Order, told

LIMITS = Limits(size=1000, files=6, path=20, depth=3)
END = b"e\0\0" + bytes(8)


def entry(kind: bytes, path: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    length = len(content) if size is None else size
    return struct.pack(">cH", kind, len(path)) + path + struct.pack(">Q", length) + content


def read(tmp_path: Path, *rows: bytes, limits: Limits = LIMITS) -> Path:
    folder = tmp_path / "read"
    entries.read(io.BytesIO(b"".join(rows)), folder, limits)
    return folder


def test_a_folder_arrives_as_it_was(tmp_path: Path):
    given = tmp_path / "given"
    (given / "a/b").mkdir(parents=True)
    (given / "a/.git").mkdir()
    (given / "a/.git/config").write_text("x")
    (given / "a/b/new\nline").write_bytes(b"\0\xff")
    (given / "run").write_text("#!/bin/sh\n")
    (given / "run").chmod(0o777)
    (given / "out").symlink_to("/etc/passwd")
    (given / "in").symlink_to("a/b")
    made = io.BytesIO()
    entries.write(given, made, ".git")
    found = read(tmp_path, made.getvalue())
    assert sorted(str(each.relative_to(found)) for each in found.rglob("*")) == [
        "a", "a/b", "a/b/new\nline", "in", "out", "run",
    ]  # fmt: skip
    assert (found / "a/b/new\nline").read_bytes() == b"\0\xff"
    assert (found / "run").stat().st_mode & 0o777 == 0o755
    assert (found / "a/b/new\nline").stat().st_mode & 0o777 == 0o644
    assert (found / "out").readlink() == Path("/etc/passwd"), "kept, and followed by nobody"
    whole = io.BytesIO()
    entries.write(given, whole, None)
    assert b"a/.git/config" in whole.getvalue()


HARM = {
    "above": entry(b"f", b"../x", b"a"),
    "from the root": entry(b"f", b"/etc/x", b"a"),
    "a name of nothing": entry(b"d", b"a") + entry(b"f", b"a/", b"a"),
    "itself": entry(b"d", b"."),
    "a folder that was not told": entry(b"f", b"a/b", b"a"),
    "through a link": entry(b"l", b"a", b"/tmp") + entry(b"f", b"a/x", b"a"),
    "over a link": entry(b"l", b"a", b"/tmp/harm") + entry(b"f", b"a", b"a"),
    "a link over a folder": entry(b"d", b"a") + entry(b"l", b"a", b"/tmp"),
    "a NUL": entry(b"f", b"a\0b", b"a"),
    "another kind": entry(b"h", b"a", b"b"),
    "a link without an end": entry(b"l", b"a", size=999),
    "no end": entry(b"f", b"a", b"a"),
    "a name that no disk has": entry(b"f", b"a" * 256, b"a"),
    "less than it says": entry(b"f", b"a", b"a", size=900),
    "nothing": b"",
}


@pytest.mark.parametrize("what", HARM)
def test_nothing_lands_outside_and_nothing_half_counts_as_whole(tmp_path: Path, what: str):
    tail = b"" if what in ("no end", "nothing", "less than it says") else END
    with pytest.raises(BadStream):
        read(tmp_path, HARM[what], tail, limits=replace(LIMITS, path=300))
    assert {each.name for each in tmp_path.iterdir()} <= {"read"}


@pytest.mark.parametrize(
    ("what", "row"),
    [
        ("size", entry(b"f", b"a", size=1001)),
        ("size", entry(b"f", b"a", b"x" * 600) + entry(b"f", b"b", size=600)),
        ("files", b"".join(entry(b"d", b"%d" % n) for n in range(7))),
        ("path", entry(b"f", b"x" * 21, b"a")),
        ("path", b"".join(entry(b"d", b"/".join([b"a"] * n)) for n in range(1, 6))),
        ("files", b"".join(entry(b"d", b"%d" % n * 15) for n in range(6))),
    ],
)
def test_too_much_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, row: bytes):
    monkeypatch.setattr(entries, "_FOLDERS", 80)
    with pytest.raises(TooMuch) as error:
        read(tmp_path, row, END)
    assert error.value.what == what


def test_an_order_is_read_as_it_was_written():
    order = Order("http://git.example/a.git", tag="ü+1", history=True, limits=LIMITS)
    line = order.to_json().decode()
    assert Order.from_json(line) == order
    assert line.index("\n") == len(line) - 1


HASH = "1" * 40


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"progress": "50%"}', "50%"),
        (f'{{"cloned": {{"hash": "{HASH}"}}}}', Cloned(HASH)),
        (f'{{"cloned": {{"hash": "{HASH}", "branch": 4}}}}', Cloned(HASH)),
        (
            '{"failed": {"why": "git", "output": "x", "there": ["a"]}}',
            NotCloned("git", "x", ("a",)),
        ),
        ('{"cloned": {"hash": "../x"}}', None),
        ('{"cloned": 3}', None),
        ('{"failed": {"why": 3}}', None),
        ("[" * 100_000, None),
        ("docker: gone", None),
    ],
)
def test_what_the_program_says_is_looked_at(line: str, said: object):
    assert told(line) == said
