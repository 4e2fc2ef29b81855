"""A real MariaDB or MySQL server of our own on a free port."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from pipeline.embedded.process import ChildProcess, not_as_root
from pipeline.embedded.redis import free_port

START_SECONDS = 60
PACKAGED = Path("/usr/sbin")
"""Where Debian keeps the server, out of most people's PATH."""
USER, DATABASE = "badges", "badges"
INITIALLY = f"""
CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1';
GRANT ALL ON *.* TO '{USER}'@'127.0.0.1';
"""


class MySqlNotFound(RuntimeError):
    """No MariaDB or MySQL server is to be had.  The message says where one was looked for."""


def executable() -> str:
    """The server's program: `MYSQL_SERVER`, then `mariadbd` or `mysqld` on PATH, then Debian's.

    Raises:
        MySqlNotFound: there is none.
    """
    if named := os.environ.get("MYSQL_SERVER"):
        return named
    places = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{PACKAGED}"
    for name in ("mariadbd", "mysqld"):
        if found := shutil.which(name, path=places):
            return found
    raise MySqlNotFound(
        "No MariaDB or MySQL server: set MYSQL_SERVER to its program, put mariadbd or mysqld on PATH, or install Debian's "
        "package mariadb-server (.ci/mariadb does)."
    )


class MySqlServer:
    """A throw-away server: it listens on loopback only, and trusts whoever connects.

    Commits are handed to the operating system and no further, so they outlive the server and not the machine.
    Use as a context manager, or `start` and `stop`; after `stop` or `kill`, `start` finds the data again.

    Args:
        folder: where its data and its log are.
        options: further options of the server, such as `"--max-connections=50"`.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._data = folder / "data"
        # Its own: a server that starts removes what it takes for leftovers there, also another's.
        self._scratch = folder / "scratch"
        self._options = options
        self._process = ChildProcess("MySQL", (), folder=folder, log=folder / "log", environment={})

    @property
    def url(self) -> str:
        """Its database, as `DATABASE_URL` wants it."""
        return f"mysql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def start(self) -> Self:
        """Make the data folder if there is none, start the server and wait until it takes connections.

        Raises:
            MySqlNotFound: there is no server.
            RuntimeError: it ended or does not answer; the message has the end of its log.
        """
        self._scratch.mkdir(parents=True, exist_ok=True)
        if not self._data.exists():
            self._make_data()
        initially = self.folder / "initially.sql"
        initially.write_text(INITIALLY)
        self._process = ChildProcess(
            "MySQL",
            [
                *not_as_root(),
                executable(),
                "--no-defaults",
                *(f"--datadir={self._data}", f"--port={self.port}", "--bind-address=127.0.0.1"),
                # Relative to the data: longer than 107 characters the socket's name may not be.
                *("--socket=socket", "--pid-file=pid", "--loose-mysqlx=OFF", "--secure-file-priv="),
                *(f"--init-file={initially}", "--skip-name-resolve", "--skip-log-bin"),
                "--innodb-flush-log-at-trx-commit=2",
                *self._options,
            ],
            folder=self.folder,
            log=self.folder / "log",
            environment=self._environment,
        )
        self._process.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self._process.running or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"MySQL did not start: {self._process.output()[-1000:]}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End the server: it breaks off what runs, and disconnects everybody.  May be repeated."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL.  What was committed outlives this; a loss of power it might not."""
        self._process.kill()

    def _make_data(self) -> None:
        program = executable()
        if _is_mariadb(program):
            script = Path(program).resolve().parent.parent / "bin" / "mariadb-install-db"
            trusting = ("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
            command = [str(script), "--no-defaults", f"--datadir={self._data}", *trusting]
        else:
            command = [program, "--no-defaults", "--initialize-insecure", f"--datadir={self._data}"]
        done = subprocess.run(
            [*not_as_root(), *command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the data folder can't be made: {(done.stdout + done.stderr)[-1000:]}")

    def _answers(self) -> bool:
        """The server speaks first: it greets whoever connects, or says that it is full."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            return bool(connection.recv(1))
        return False

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(self._scratch)}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _is_mariadb(program: str) -> bool:
    command = [program, "--no-defaults", "--version"]
    return "MariaDB" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
