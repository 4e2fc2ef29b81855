"""A server on a real socket that answers each request with the next raw reply of a script."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Reply = bytes | Callable[[socket.socket], None]


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ScriptedServer:
    """Replies in order; ``requests`` and ``connections`` tell what arrived."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.requests: list[Request] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                method, target, _ = line.decode().split(" ", 2)
                head = b""
                while (header := stream.readline()) not in (b"\r\n", b""):
                    head += header
                headers = BytesHeaderParser().parsebytes(head)
                body = stream.read(int(headers.get("Content-Length", "0")))
                self.requests.append(Request(method, target, headers, body))
                reply = self.replies.pop(0)
                if callable(reply):
                    reply(connection)
                    return
                connection.sendall(reply)


def http(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A whole HTTP answer."""
    lines = {"Content-Length": str(len(body)), "Content-Type": "application/json", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Reason\r\n{head}\r\n".encode() + body


def data(value: object, status: int = 200, **metadata: object) -> bytes:
    """A successful answer in Credly's envelope."""
    return http(status, json.dumps({"data": value, "metadata": metadata}).encode())


def refusal(status: int, message: str, errors: object = (), headers: Mapping[str, str] | None = None) -> bytes:
    """A refusal in Credly's form (facts 8.1)."""
    return http(status, json.dumps({"data": {"message": message, "errors": errors}, "metadata": {}}).encode(), headers)


def hang_up(connection: socket.socket) -> None:
    """Close without a word."""


def reset(connection: socket.socket) -> None:
    """Tear the connection down with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stay_silent(connection: socket.socket) -> None:
    """Keep the connection open, without a word, until the client leaves."""
    connection.recv(1)


def then(*steps: Reply) -> Callable[[socket.socket], None]:
    """Several steps on one connection, the last of which ends it."""

    def play(connection: socket.socket) -> None:
        for step in steps:
            if callable(step):
                step(connection)
            else:
                connection.sendall(step)

    return play
