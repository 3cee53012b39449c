"""A socket of the engine that can be shut; until then, what comes by it goes on to the real one.
So the engine is away for a platform that was brought up with this socket, and for nobody else."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path


class Gate:
    def __init__(self, path: Path, engine: str = "/var/run/docker.sock") -> None:
        self.path = path
        self._engine = engine
        self._shut = False
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.start_unix_server(self._entered, path)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)

    def shut(self) -> None:
        """What is open is cut off, and whoever comes is turned away."""
        self._shut = True
        self._loop.call_soon_threadsafe(self._cut)

    def open(self) -> None:
        self._shut = False

    def remove(self) -> None:
        self.shut()
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _entered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shut:
            writer.transport.abort()
            return
        theirs, ours = await asyncio.open_unix_connection(self._engine)
        pair = {writer, ours}
        self._open |= pair
        with suppress(OSError):
            await asyncio.gather(_pass(reader, ours), _pass(theirs, writer))
        self._open -= pair
        for end in pair:
            end.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes one way, and then their end: attached streams end one way first."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
