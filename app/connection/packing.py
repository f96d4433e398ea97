"""Fewer packets: the head of an answer and the first piece of its body go to the system together. Nothing about what
either holds.
"""

import asyncio
from typing import Any

INTERIM = b"HTTP/1.1 100 "


class PackingTransport:
    """A transport that keeps the head of an answer, which uvicorn writes first and in one piece, until there is more to
    write or the answer ends: one system call, and one packet, for a small answer. `written` counts the bytes that went
    to the system or wait for it.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport, self._kept, self._next_is_head, self.written = transport, b"", True, 0

    def write(self, data: bytes) -> None:
        """Write what is kept and `data`, or keep `data` where it is a head."""
        if self._next_is_head and not data.startswith(INTERIM):
            self._kept, self._next_is_head = data, False
            return
        if self._kept:
            data, self._kept = self._kept + data, b""
        self.written += len(data)
        self.transport.write(data)

    def keep_nothing(self) -> None:
        """Write all that comes at once from now on."""
        self._flush()
        self._next_is_head = False

    def end(self) -> None:
        """Tell that an answer is over: the next thing written is a head."""
        self._flush()
        self._next_is_head = True

    def close(self) -> None:
        """Close the connection once all is written."""
        self._flush()
        self.transport.close()

    def _flush(self) -> None:
        if self._kept:
            kept, self._kept = self._kept, b""
            self.written += len(kept)
            self.transport.write(kept)

    def __getattr__(self, name: str) -> Any:
        """Return what else a transport has."""
        return getattr(self.transport, name)
