"""The program that clones: git itself, servers as they are, and those that do what none should. It
runs here as it is; in which network it does on a platform is another test's."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from builder.adapters import clones
from builder.cloning.order import Cloned, Limits, NotCloned, Order
from builder.sources.failures import not_cloned
from slipway_install import git_http

COMMIT = "1" * 40
ROOT = Path(__file__).parents[2]
type Answer = Callable[[asyncio.StreamWriter, str], Awaitable[None]]
PROGRAM = ["env", f"PYTHONPATH={ROOT}/services/builder", "TMPDIR=", sys.executable]


async def clone(
    folder: Path, order: Order, tell: Callable[[str], None] = lambda _: None
) -> Cloned | NotCloned:
    """Nothing is left of the program's own folder."""
    beside = folder / "tmp"
    beside.mkdir()
    argv = [*PROGRAM, "-m", "builder.cloning"]
    argv[2] = f"TMPDIR={beside}"
    found = await clones.clone("", order, folder / "source", tell, lambda _: argv)
    assert list(beside.iterdir()) == []
    return found


# -- servers as they are --------------------------------------------------------------------------


def git(*argv: str, cwd: Path | None = None) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *identity, *argv], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Moved(SimpleHTTPRequestHandler):
    """`/moved/…` leads to the smart server, `/round/…` to itself; the rest is there as it is."""

    smart = ""

    def do_GET(self) -> None:
        place = self.path.removeprefix("/moved/")
        if place != self.path or self.path.startswith("/round/"):
            self.send_response(302)
            self.send_header("Location", self.path if place == self.path else self.smart + place)
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Served:
    """`smart` and `files`: addresses of one repository, of servers of either kind."""

    def __init__(self, root: Path) -> None:
        self.bare, self.work = root / "served/app.git", root / "work"
        git("init", "-q", "-b", "trunk", "--bare", str(self.bare))
        git("clone", "-q", str(self.bare), str(self.work))
        smart = git_http.serve(root / "served", "127.0.0.1")
        self.servers: list[ThreadingHTTPServer] = [smart]
        base = f"http://127.0.0.1:{smart.server_port}/"
        handler = type("Bound", (Moved,), {"smart": base})
        address = ("127.0.0.1", 0)
        self.servers.append(
            ThreadingHTTPServer(address, partial(handler, directory=str(root / "served")))
        )
        self.base = f"http://127.0.0.1:{self.servers[1].server_port}/"
        self.smart, self.files = f"{base}app.git", f"{self.base}app.git"
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def push(self, branch: str = "trunk", **files: str) -> str:
        git("checkout", "-q", "-B", branch, cwd=self.work)
        for name, text in files.items():
            (self.work / name).write_text(text)
        git("add", "-A", cwd=self.work)
        git("commit", "-q", "--allow-empty", "-m", f"of {branch}", cwd=self.work)
        git("push", "-q", "origin", f"HEAD:refs/heads/{branch}", cwd=self.work)
        git("update-server-info", cwd=self.bare)
        return git("rev-parse", "HEAD", cwd=self.work)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    for server in made.servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", ["smart", "files", "moved"])
async def test_a_branch_of_any_name_a_tag_a_commit_and_what_the_server_calls_its_head(
    tmp_path: Path, served: Served, kind: str
):
    url = {"smart": served.smart, "files": served.files, "moved": f"{served.base}moved/app.git"}[
        kind
    ]
    first = served.push(file="first")
    git("tag", "-a", "-m", "one", "v1", cwd=served.work)
    git("push", "-q", "origin", "v1", cwd=served.work)
    odd = served.push("übel/#1+@(x)", file="odd") if kind != "files" else ""
    git("checkout", "-q", "trunk", cwd=served.work)
    last = served.push(file="last")
    for name, order, hash_, text, branch in (
        ("head", Order(url), last, "last", "trunk"),
        ("branch", Order(url, branch="übel/#1+@(x)"), odd, "odd", "übel/#1+@(x)"),
        ("tag", Order(url, tag="v1"), first, "first", None),
        ("commit", Order(url, commit=first), first, "first", None),
    ):
        if not hash_:
            continue
        (tmp_path / name).mkdir()
        found = await clone(tmp_path / name, order)
        assert found == Cloned(hash_, "Ada", f"of {branch or 'trunk'}", branch), name
        files = sorted(each.name for each in (tmp_path / name / "source").iterdir())
        assert (files, (tmp_path / name / "source/file").read_text()) == (["file"], text)


async def test_with_its_history_it_can_be_described(tmp_path: Path, served: Served):
    served.push(file="first")
    git("tag", "v1", cwd=served.work)
    git("push", "-q", "origin", "v1", cwd=served.work)
    last = served.push(file="last")
    found = await clone(tmp_path, Order(served.smart, branch="trunk", history=True))
    assert isinstance(found, Cloned)
    described = git("describe", "--tags", "--dirty", cwd=tmp_path / "source")
    assert described == f"v1-1-g{last[:7]}"


@pytest.mark.parametrize("kind", ["smart", "files"])
async def test_what_is_not_there_is_told_with_what_is(tmp_path: Path, served: Served, kind: str):
    url = served.smart if kind == "smart" else served.files
    served.push(file="first")
    served.push("next", file="next")
    for name, order, there in (
        ("branch", Order(url, branch="truck"), {"next", "trunk"}),
        ("tag", Order(url, tag="v9"), set()),
        ("commit", Order(url, commit="2" * 40), set()),
        ("option", Order(url, branch="--upload-pack=touch /tmp/harm"), {"next", "trunk"}),
        ("none", Order(url.replace("app", "none")), set()),
    ):
        (tmp_path / name).mkdir()
        found = await clone(tmp_path / name, order)
        assert isinstance(found, NotCloned)
        assert (found.why, set(found.there)) == ("git", there), name


async def test_a_tag_is_no_branch(tmp_path: Path, served: Served):
    served.push(file="x")
    git("tag", "v1", cwd=served.work)
    git("push", "-q", "origin", "v1", cwd=served.work)
    order = Order(served.smart, branch="v1")
    found = await clone(tmp_path, order)
    assert isinstance(found, NotCloned)
    failure = not_cloned(order, found, 1 << 30)
    assert (failure.reason, failure.hint) == ("git-branch-not-found", "branches there: trunk")


async def test_one_without_a_commit_says_so(tmp_path: Path, served: Served):
    for name in ("empty", "elsewhere"):
        if name == "elsewhere":  # what the server calls its head is not there
            served.push("next", file="next")
        (tmp_path / name).mkdir()
        found = await clone(tmp_path / name, order := Order(served.smart))
        assert isinstance(found, NotCloned), name
        told = not_cloned(order, found, 1 << 30)
        assert (told.reason, found.why) == ("git-commit-not-found", "git"), name


async def test_a_redirect_without_an_end(tmp_path: Path, served: Served):
    found = await clone(tmp_path, Order(f"{served.base}round/app.git"))
    assert isinstance(found, NotCloned)
    assert "redirect" in found.output


async def test_submodules_come_along_also_by_relative_places(tmp_path: Path, served: Served):
    served.push(file="mine")
    inner = tmp_path / "served/inner.git"
    git("clone", "-q", "--bare", str(served.bare), str(inner))
    git("submodule", "add", "-q", str(inner), "there", cwd=served.work)
    git("config", "-f", ".gitmodules", "submodule.there.url", "../inner.git", cwd=served.work)
    served.push(file="outer")
    found = await clone(tmp_path, Order(served.smart))
    assert isinstance(found, Cloned)
    assert (tmp_path / "source/there/file").read_text() == "mine"
    assert not list((tmp_path / "source").rglob(".git"))


@pytest.mark.parametrize(
    "place", ["ext::touch /tmp/harm", "file:///{}", "/{}", "--upload-pack=id", "ssh://-oX=y/z"]
)
async def test_a_submodule_leads_to_http_alone(tmp_path: Path, served: Served, place: str):
    served.push(file="mine")
    git("submodule", "add", "-q", str(served.bare), "there", cwd=served.work)
    url = place.format(str(served.bare).removeprefix("/"))
    git("config", "-f", ".gitmodules", "submodule.there.url", url, cwd=served.work)
    served.push(file="outer")
    found = await clone(tmp_path, Order(served.smart))
    assert isinstance(found, NotCloned), found
    assert found.why == "submodules"
    assert not (tmp_path / "source/there/file").exists()


def entry(mode: str, name: str, hash_: str) -> bytes:
    return f"{mode} {name}\0".encode() + bytes.fromhex(hash_)


def written(served: Served, kind: str, content: bytes) -> str:
    """An object of the served repository, whatever git thinks of it."""
    argv = ["git", "hash-object", "-t", kind, "-w", "--stdin", "--literally"]
    done = subprocess.run(argv, cwd=served.bare, input=content, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.mark.parametrize("lie", ["above", "git's own", "through a link"])
async def test_one_that_lies_about_paths_writes_nothing_elsewhere(
    tmp_path: Path, served: Served, lie: str
):
    served.push(file="first")
    harm = tmp_path / "harm"
    harm.mkdir()
    file = written(served, "blob", b"harm")
    inner = written(served, "tree", entry("100644", "file", file))
    tree = {
        "above": entry("40000", "..", inner),
        "git's own": entry("40000", ".git", inner),
        "through a link": entry("120000", "a", written(served, "blob", str(harm).encode()))
        + entry("40000", "a", inner),
    }[lie]
    made = git("commit-tree", "-m", "lie", written(served, "tree", tree), cwd=served.bare)
    git("update-ref", "refs/heads/trunk", made, cwd=served.bare)
    found = await clone(tmp_path, Order(served.smart))
    assert list(harm.iterdir()) == []
    if lie == "through a link":  # git makes a folder of it
        assert (tmp_path / "source/a").is_dir()
        return
    assert isinstance(found, NotCloned)
    assert "unable to checkout" in found.output
    assert not (tmp_path / "source").exists()


# -- too much -------------------------------------------------------------------------------------


async def test_what_is_too_large_is_named(tmp_path: Path, served: Served):
    (served.work / "deep" / ("x" * 150)).mkdir(parents=True)
    for number in range(300):
        (served.work / "deep" / f"{number}").write_text(f"{number}" * 2000)
    (served.work / "deep" / ("x" * 150) / "file").write_text("x")
    served.push()
    for what, limits in (
        ("size", Limits(size=1 << 20)),
        ("files", Limits(files=200)),
        ("path", Limits(path=100)),
    ):
        (tmp_path / what).mkdir()
        found = await clone(tmp_path / what, Order(served.smart, limits=limits))
        assert found == NotCloned(what)


async def test_whoever_waits_for_it_may_go(tmp_path: Path):
    """Nothing of it runs on, and nothing lies about."""

    async def silent(writer: asyncio.StreamWriter, _: str) -> None:
        await asyncio.sleep(60)

    (tmp_path / "tmp").mkdir()
    argv = ["env", f"TMPDIR={tmp_path / 'tmp'}", *PROGRAM[1:2], sys.executable]
    async with server(silent) as url:
        given = await asyncio.create_subprocess_exec(
            *argv, "-m", "builder.cloning", stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert given.stdin is not None
        given.stdin.write(Order(url).to_json())
        await given.stdin.drain()
        marker = str(tmp_path / "tmp")
        while not _running(marker):
            await asyncio.sleep(0.05)
        given.stdin.close()
        assert await asyncio.wait_for(given.wait(), 5) == 1
        while _running(marker):
            await asyncio.sleep(0.05)
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_cancelled_clone_ends_at_once(tmp_path: Path):
    async def silent(writer: asyncio.StreamWriter, _: str) -> None:
        await asyncio.sleep(60)

    async with server(silent) as url:
        task = asyncio.create_task(clone(tmp_path, Order(url)))
        while not _running(str(tmp_path / "tmp")):
            await asyncio.sleep(0.05)
        began = time.monotonic()
        task.cancel()
        await asyncio.wait([task])
        while _running(str(tmp_path / "tmp")):
            await asyncio.sleep(0.05)
    assert time.monotonic() - began < 4


def _running(marker: str) -> list[str]:
    """Programs of git with that in their command line."""
    found: list[str] = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in line and line.startswith("git"):
            found.append(line)
    return found


# -- servers that do what none should -------------------------------------------------------------


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[str]:
    """An HTTP server; `answer` is given the path."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await answer(writer, head.split()[1])
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/app.git"
    finally:
        listening.close()


def packet(data: bytes) -> bytes:
    return f"{len(data) + 4:04x}".encode() + data


async def advertise(writer: asyncio.StreamWriter, service: str = "upload-pack") -> None:
    refs = f"{COMMIT} HEAD\0side-band-64k shallow ofs-delta symref=HEAD:refs/heads/main\n"
    body = packet(f"# service=git-{service}\n".encode()) + b"0000" + packet(refs.encode())
    body += packet(f"{COMMIT} refs/heads/main\n".encode()) + b"0000"
    writer.write(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
        b"Content-Type: application/x-git-upload-pack-advertisement\r\n\r\n" + body
    )
    await writer.drain()


ANSWER = (
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-git-upload-pack-result"
    b"\r\n\r\n"
)


async def begun(writer: asyncio.StreamWriter, asked: list[str], path: str) -> bool:
    """It has answered up to where the commits come."""
    if "info/refs" in path:
        await advertise(writer)
        return False
    writer.write(ANSWER + packet(f"shallow {COMMIT}".encode()) + b"0000")
    asked.append(path)
    if len(asked) == 1:  # how deep it is; the commits come in a second answer
        return False
    writer.write(packet(b"NAK\n"))
    return True


async def silent(writer: asyncio.StreamWriter, _: str) -> None:
    await asyncio.sleep(60)


async def silent_later(writer: asyncio.StreamWriter, path: str) -> None:
    await (advertise(writer) if "info/refs" in path else asyncio.sleep(60))


@pytest.mark.parametrize("answer", [silent, silent_later])
async def test_one_that_says_nothing_holds_nobody(tmp_path: Path, answer: Answer):
    async with server(answer) as url, asyncio.timeout(10):
        found = await clone(tmp_path, Order(url, limits=Limits(silence=1.0, speed=0)))
    assert found == NotCloned("silent")


@pytest.mark.parametrize("words", [b"", b"\x02remote works\n"])
async def test_one_that_drips_has_an_end(tmp_path: Path, words: bytes):
    """In its address book and in its answer, with something to show or without."""

    async def drips(writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        if words:
            writer.write(b"Content-Type: application/x-git-upload-pack-advertisement\r\n\r\n")
            writer.write(packet(b"# service=git-upload-pack\n") + b"0000")
        for letter in "x" * 1000:
            writer.write(letter.encode())
            await writer.drain()
            await asyncio.sleep(0.3)

    limits = Limits(silence=2.0, seconds=5.0)
    async with server(drips) as url, asyncio.timeout(12):
        found = await clone(tmp_path, Order(url, limits=limits))
    assert isinstance(found, NotCloned)
    slow = found.why == "git" and "too slow" in found.output.lower()
    assert slow or found.why in ("silent", "slow"), found


@pytest.mark.parametrize("end", [b"\n", b"\r", b""])
async def test_one_that_talks_without_end(tmp_path: Path, end: bytes):
    """A hundred megabytes of progress, as lines, as one that is written over, as one line."""
    asked: list[str] = []

    async def talks(writer: asyncio.StreamWriter, path: str) -> None:
        if await begun(writer, asked, path):
            for _ in range(1600):
                writer.write(packet(b"\x02" + b"x" * 65_000 + end))
                await writer.drain()
            writer.write(packet(b"\x03\nno more\n") + b"0000")
            await writer.drain()

    said: list[str] = []
    async with server(talks) as url:
        found = await clone(tmp_path, Order(url, branch="main"), said.append)
    assert isinstance(found, NotCloned)
    assert found.why == "git"
    assert not end or "no more" in found.output
    assert len(found.output) < 100_000
    assert sum(map(len, said)) < 10_000


async def test_one_that_sends_without_end(tmp_path: Path):
    """A pack that does not end fills nothing."""
    asked: list[str] = []
    sent = 0

    async def sends(writer: asyncio.StreamWriter, path: str) -> None:
        nonlocal sent
        if await begun(writer, asked, path):
            writer.write(packet(b"\x01PACK" + bytes([0, 0, 0, 2, 0, 0, 0, 1])))
            # One object of 1 GiB, in blocks that are stored as they are.
            writer.write(packet(b"\x01" + bytes([0xB0, 0x80, 0x80, 0x80, 0x20]) + b"\x78\x01"))
            block = b"\x00\x00\xf0\xff\x0f" + b"x" * 0xF000
            while sent < 1 << 30:
                writer.write(packet(b"\x01" + block))
                await writer.drain()
                sent += len(block)

    async with server(sends) as url:
        found = await clone(tmp_path, Order(url, branch="main", limits=Limits(size=32 << 20)))
    assert found == NotCloned("size"), found
    assert sent < 200 << 20


async def test_one_whose_line_has_no_end(tmp_path: Path):
    async def long(writer: asyncio.StreamWriter, _: str) -> None:
        writer.write(b"HTTP/1.1 500 " + b"x" * 6_000_000 + b"\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with server(long) as url:
        found = await clone(tmp_path, Order(url))
    assert isinstance(found, NotCloned)
    assert found.why == "git"
    assert len(found.output) < 100_000


ENDED = """
import tempfile
from pathlib import Path
from builder.cloning import watch
from builder.cloning.order import Limits

def said(free=0.0, *, over=False):
    watch._FREE = free
    watched = watch.Watch(Path(tempfile.mkdtemp()), {}, Limits(), print)
    if over:
        watched.end()
    try:
        return watched.run(["/bin/sleep", "1"])[0]
    except watch.Ended as error:
        return error.why

print(said(), said(1.1), said(over=True))
"""


def test_it_ends_where_the_disk_is_full_and_begins_nothing_once_it_is_to_end():
    """In a process of its own: it limits what that may write."""
    argv = [PROGRAM[0], PROGRAM[1], sys.executable, "-c", ENDED]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "0 disk ended\n"


async def test_whatever_letters_it_says_it_is_heard(tmp_path: Path):
    """As much as is kept of what git prints, in letters that are written as six."""
    much = "'\\0' * (1 << 16)"
    program = (
        f"import json, os; os.write(2, json.dumps({{'failed': {{'why': 'git', 'output': {much},"
    )
    program += f" 'there': [{much}]}}}}).encode())"
    argv = [sys.executable, "-c", program]
    order = Order("http://git.example/a.git")
    found = await clones.clone("", order, tmp_path / "s", lambda _: None, lambda _: argv)
    assert isinstance(found, NotCloned)
    assert (found.why, found.output) == ("git", "\0" * (1 << 16))


async def test_a_program_that_is_not_there_says_nothing_good(tmp_path: Path):
    argv = [sys.executable, "-c", "import sys; sys.exit('no such container')"]
    order = Order("http://git.example/a.git")
    found = await clones.clone("", order, tmp_path / "s", lambda _: None, lambda _: argv)
    assert found == NotCloned("ended", "no such container")


async def test_it_waits_until_the_rules_of_the_guard_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clones, "_PATIENCE", 1.0)
    words = "lifeline: the program has not been started yet"
    argv = [sys.executable, "-c", f"import sys; sys.exit('{words}')"]
    order = Order("http://git.example/a.git")
    found = await clones.clone("", order, tmp_path / "s", lambda _: None, lambda _: argv)
    assert found == NotCloned("guard")
