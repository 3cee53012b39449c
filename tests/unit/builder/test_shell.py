"""Programs in groups of their own: nothing of them is left."""

import asyncio
import os
import resource
import sys
import time
from pathlib import Path

import pytest
from builder.adapters import shell

PYTHON = sys.executable


async def test_output_and_exit_code():
    code, output = await shell.run([PYTHON, "-c", "print('a'); print('b'); exit(3)"])
    assert (code, output) == (3, "a\nb")


async def test_errors_stand_among_the_output():
    _, output = await shell.run([PYTHON, "-c", "import sys; print('bad', file=sys.stderr)"])
    assert output == "bad"


async def test_lines_as_they_come():
    lines: list[str] = []
    code, output = await shell.run(
        [PYTHON, "-c", "print('a\\nb'); print('no end', end='')"], on_line=lines.append
    )
    assert (code, output, lines) == (0, "", ["a", "b", "no end"])


async def test_bytes_that_are_no_text():
    _, output = await shell.run([PYTHON, "-c", "import os; os.write(1, b'\\xff\\n')"])
    assert output == "\ufffd"


async def test_only_what_is_given_is_in_its_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLIPWAY_NATS_PASSWORD", "secret")
    _, output = await shell.run(
        [PYTHON, "-c", "import os; print(sorted(os.environ))"], env={"GIVEN": "1"}
    )
    assert "GIVEN" in output
    assert "SLIPWAY" not in output


async def test_a_program_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        await shell.run(["/no/such/program"])


async def test_of_a_long_output_the_beginning_and_the_end_are_kept():
    code = "print('begin'); print('x' * 4096 * 1024 * 16); print('end')"
    _, output = await shell.run([PYTHON, "-c", code])
    assert output.startswith("begin\nxxx")
    assert output.endswith("xxx\nend")
    assert "bytes are left out here" in output
    assert len(output) < 200_000


async def test_of_a_long_line_the_beginning_is_handed_over():
    lines: list[str] = []
    code = "print('x' * 9_000_000); print('after')"
    await shell.run([PYTHON, "-c", code], on_line=lines.append)
    assert [len(line) for line in lines] == [shell.LONGEST_LINE, 5]


async def test_endless_output_takes_no_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = "import os\nfor _ in range(9000): os.write(1, b'\\x01' * 65536)"
    await shell.run([PYTHON, "-c", code])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000, f"{grown} KiB for 590 MB of output"


@pytest.mark.parametrize("first", ["", "print('hello', flush=True);"])
async def test_one_that_says_nothing_is_ended(first: str):
    began = time.monotonic()
    with pytest.raises(shell.ProgramSilent):
        await shell.run([PYTHON, "-c", f"{first}import time; time.sleep(60)"], silence=0.3)
    assert time.monotonic() - began < 2


async def test_one_that_goes_on_saying_something_is_not():
    code = "import time\nfor n in range(8): print(n, flush=True); time.sleep(0.3)"
    code_, output = await shell.run([PYTHON, "-c", code], silence=2.0)
    assert (code_, output.split()) == (0, list("01234567"))


# A program with a child; each may refuse to be asked, and the child may hold no output open.
FAMILY = """
import os, signal, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
child = stubborn if "child" in sys.argv else "import time;"
child += "print('up', flush=True); time.sleep(60)"
if "parent" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
errors = subprocess.DEVNULL if "quiet" in sys.argv else None
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, stderr=errors)
process.stdout.readline()
open(sys.argv[1], "w").write(f"{os.getpid()} {process.pid} ")
if "leaves" in sys.argv:
    os._exit(0)
time.sleep(60)
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


async def left(*family: int) -> list[int]:
    """Who still lives; one that was just killed has a moment to go."""
    for _ in range(20):
        if not any(map(alive, family)):
            break
        await asyncio.sleep(0.01)
    return [process for process in family if alive(process)]


@pytest.mark.parametrize("who", ["", "child", "quiet child", "parent child"])
async def test_when_cancelled_the_whole_group_has_gone(tmp_path: Path, who: str):
    file = tmp_path / "pids"
    running = asyncio.create_task(shell.run([PYTHON, "-c", FAMILY, str(file), *who.split()]))
    while not file.exists() or len(file.read_text().split()) < 2:
        await asyncio.sleep(0.01)
    family = [int(word) for word in file.read_text().split()]
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - began < 2
    assert await left(*family) == []


async def test_a_child_that_outlives_its_parent_goes_too(tmp_path: Path):
    file = tmp_path / "pids"
    running = asyncio.create_task(shell.run([PYTHON, "-c", FAMILY, str(file), "leaves"]))
    while not file.exists() or len(file.read_text().split()) < 2:
        await asyncio.sleep(0.01)
    parent, child = (int(word) for word in file.read_text().split())
    while alive(parent):
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await left(child) == []


async def test_it_is_a_group_of_its_own():
    _, output = await shell.run([PYTHON, "-c", "import os; print(os.getpgid(0))"])
    assert int(output) != os.getpgid(0)
