# SPDX-License-Identifier: Apache-2.0
"""A door with a key before a page that others can reach: it lets through who brings the token, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import secrets
import threading

_HEAD_SECONDS = 10.0
_HEAD_BYTES = 1 << 16
_COOKIE = "myriad"


class Gate:
    """Listens at an address, and hands connections that know the token on to a port of this machine.

    The token comes once, as `?token=...`; from then on the browser has it as a cookie, which it sends to this page from
    this page alone.

    Args:
        host: Address to listen at.
        port: Port to listen at; 0 for any.
        inner: Port on the loopback interface that connections are handed on to.

    Attributes:
        token: What has to be known.
        port: The port.

    Raises:
        OSError: If the address cannot be had.
    """

    def __init__(self, host: str, port: int, inner: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self._inner = inner
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._come, host, port, limit=_HEAD_BYTES))
        self.port: int = self._server.sockets[0].getsockname()[1]
        threading.Thread(target=self._loop.run_forever, name="gate", daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._loop.call_soon_threadsafe(self._server.close)

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
            text = head.decode("latin-1")
            if self._is_known(re.search(r"^[A-Z]+ \S*[?&]token=([\w-]+)", text)):
                cookie = f"{_COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict"
                writer.write(f"HTTP/1.1 303 See Other\r\nLocation: /\r\nSet-Cookie: {cookie}\r\n".encode())
                writer.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            elif self._is_known(re.search(rf"(?im)^cookie:.*?\b{_COOKIE}=([\w-]+)", text)):
                await self._hand_on(head, reader, writer)
            else:
                said = b"This page needs the whole address that was printed, with its token.\n"
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(said) + said)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    def _is_known(self, found: re.Match[str] | None) -> bool:
        return found is not None and hmac.compare_digest(found[1], self.token)

    async def _hand_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner)
        inner_writer.write(head)
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
