"""The examples of docs/contributing.md: new files, and changes of those that are there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/contributing.md").read_text()
_BLOCK = re.compile(r"^```(python|diff) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A new file, or changes of one."""

    section: str
    kind: str
    path: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    for section in page.split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for kind, path, text in _BLOCK.findall(section):
            yield Block(title, kind, path, text)


def changed(before: str, diff: str, name: str = "") -> str:
    """`diff` without line numbers: each part between `@@` has to fit in exactly one place."""
    for part in diff.split("@@\n"):
        lines = [line or " " for line in part.removesuffix("\n").split("\n")]
        old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        new = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        assert before.count(old) == 1, f"{name} has this {before.count(old)} times:\n{old}"
        before = before.replace(old, new)
    return before
