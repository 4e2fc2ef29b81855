"""The line to Credly, which can be cut: then connections are refused, as by a machine that is down."""

import socket
import threading
from contextlib import suppress

from pipeline.embedded.redis import free_port

PIECE = 65_536


class Line:
    """Carries what comes to `port` on to another, both of this machine, while it is whole."""

    def __init__(self) -> None:
        self.port = free_port()
        self._open: list[socket.socket] = []

    def mend(self, to_port: int) -> None:
        """Carry to that port from now on."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self._open.append(listener)
        threading.Thread(target=self._accept, args=(listener, to_port), daemon=True).start()

    def cut(self) -> None:
        """Refuse connections from now on, and hang up.  May be repeated."""
        while self._open:
            each = self._open.pop()
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket, to_port: int) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", to_port))
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
