"""A proxy that drops connections to a server at a chosen moment, as a cut cable does."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

_PORT = 5432
_COMMITTED = b"COMMIT\x00"
"""Occurs in the response to a commit (CommandComplete of the protocol), and in the request that first prepares one."""


class Proxy:
    """Forwards connections to the socket of a server. On request, it drops them before the response to a commit.

    Attributes:
        cuts: The number of responses to commits that are still to be dropped, each with its connection.
        early_cuts: The number of commits that are still to be dropped before the server receives them.
        meanwhile: Called after each cut, before the client can notice.
        connections: The number of connections so far.
    """

    def __init__(self, folder: Path, behind: Path) -> None:
        """Listens in one folder, and forwards to the socket in another."""
        self.cuts = 0
        self.early_cuts = 0
        self.meanwhile: Callable[[], object] = lambda: None
        self.connections = 0
        self._behind = f"{behind}/.s.PGSQL.{_PORT}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.{_PORT}")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Closes the listening socket."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self._behind)
            other = {client: server, server: client}
            while True:
                for one in select.select([client, server], [], [])[0]:
                    data = one.recv(65536)
                    if one is server and self.cuts and _COMMITTED in data:
                        self.cuts -= 1
                        self.meanwhile()
                        return
                    if one is client and self.early_cuts and _COMMITTED in data:
                        self.early_cuts -= 1
                        server.close()
                        self.meanwhile()
                        return
                    if not data:
                        return
                    other[one].sendall(data)
