"""The database of a run of the suite: `make test DB=...`."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from pipeline.embedded.mysql import MySqlServer
from pipeline.embedded.postgres import PostgresServer

VARIABLE = "TEST_DATABASE"
"""Names it to every process of the run."""

Server = PostgresServer | MySqlServer
SERVERS: dict[str, Callable[[Path], Server] | None] = {
    "sqlite": None,
    "postgres": lambda folder: PostgresServer(folder, "-c", "max_connections=500"),
    "mysql": lambda folder: MySqlServer(folder, "--max-connections=500"),
}


def of_run() -> str:
    """Its name."""
    return os.environ.get(VARIABLE, "sqlite")


def patient(url: str, seconds: int) -> str:
    """The URL of a database, by which who finds something locked waits for so long."""
    waits = {
        "sqlite": f"timeout={seconds}",
        "postgres": f"options=-c%20lock_timeout%3D{seconds}s",
        "mysql": "init_command=" + quote(_STRICT_AND_PATIENT.format(seconds=seconds)),
    }
    return f"{url}?{waits[url.partition(':')[0]]}"


_STRICT_AND_PATIENT = (
    "SET SESSION sql_mode = 'TRADITIONAL', "
    "SESSION innodb_lock_wait_timeout = {seconds}, SESSION lock_wait_timeout = {seconds}"
)
"""The URL's own command takes the place of ours."""


def server_of_run(folder: Path) -> Server | None:
    """A server of that kind, for tests that need one of their own; none if it is SQLite."""
    make = SERVERS[of_run()]
    return make(folder) if make else None
