"""A TCP proxy in front of a server on loopback, with the faults of a network between two hosts.

    with TcpProxy(server.port) as proxy:
        connect(proxy.redirected(server.url))
        proxy.freeze()

A frozen connection stays open and carries nothing: each end gets its packets acknowledged and never
an answer, and does not hear when the other end closes. Options of TCP do not notice that.

Not here: packets that are lost (`network_namespace`), and servers that are frozen themselves
(`lifecycle`).
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Final, Self, TypeVar

_CHUNK_BYTES: Final = 16 * 1024
#: Between two looks whether a connection is still frozen.
_LOOK_SECONDS: Final = 0.02

T = TypeVar("T")


class _Link:
    """A client's connection and the proxy's own to the server."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.frozen = False

    def cut(self) -> None:
        """Reset both connections."""
        for writer in self.writers:
            writer.transport.abort()


class TcpProxy:
    """Forwards connections to a port of 127.0.0.1; its faults may be changed from any thread.

    - `host`: where it listens.
    - `latency_seconds`: added to what is forwarded, in each direction.
    - `bytes_per_second`: of each connection, in each direction; None: unlimited.
    """

    def __init__(self, server_port: int, host: str = "127.0.0.1") -> None:
        self.latency_seconds = 0.0
        self.bytes_per_second: float | None = None
        self.port = 0
        self._host = host
        self._server_port = server_port
        self._freezes_new = False
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def redirected(self, url: str) -> str:
        """Return the URL of the server as one that leads through the proxy."""
        before, address, behind = url.rpartition(f"127.0.0.1:{self._server_port}")
        assert address, "the URL of another server"
        return f"{before}{self._host}:{self.port}{behind}"

    @property
    def client_ports(self) -> list[int]:
        """The clients' ports of all connections that are open, frozen ones included."""
        return [link.writers[0].get_extra_info("peername")[1] for link in self._links]

    def freeze(self, *, new: bool = False) -> None:
        """Freeze the connections that are open; with `new`, also all that follow."""
        self._freezes_new = new
        self._run(self._set_frozen(True))

    def thaw(self) -> None:
        """Undo `freeze`; what was sent meanwhile arrives."""
        self._freezes_new = False
        self._run(self._set_frozen(False))

    def cut(self) -> None:
        """Reset the connections that are open, frozen or not."""
        self._run(self._cut())

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        """Run a step in the proxy's thread, which owns all that it changes."""
        return asyncio.run_coroutine_threadsafe(step, self._loop).result()

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._forward, self._host, 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _set_frozen(self, frozen: bool) -> None:
        for link in self._links:
            link.frozen = frozen

    async def _cut(self) -> None:
        for link in self._links:
            link.cut()
            link.frozen = False  # so that it ends

    async def _close(self) -> None:
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:  # the server is away
            writer.transport.abort()
            return
        link = _Link(writer, server)
        link.frozen = self._freezes_new
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pump(link, reader, server), self._pump(link, answers, writer)
            )
        except asyncio.CancelledError:
            pass  # the proxy closes; asyncio would log this as an error
        finally:
            self._links.discard(link)
            link.cut()

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(_CHUNK_BYTES):
                await asyncio.sleep(self.latency_seconds)
                if self.bytes_per_second is not None:
                    await asyncio.sleep(len(data) / self.bytes_per_second)
                await self._until_thawed(link)
                writer.write(data)
                await writer.drain()
            await self._until_thawed(link)
            writer.write_eof()
        except OSError:  # one of the two ends is gone, and so is the other
            await self._until_thawed(link)
            link.cut()

    async def _until_thawed(self, link: _Link) -> None:
        while link.frozen:
            await asyncio.sleep(_LOOK_SECONDS)
