"""The database of a run of the suite: `make test DB=...`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from pipeline.embedded.mysql import DATABASE, USER, MySqlNotFound, MySqlServer, executable
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
        "mysql": "init_command=" + quote(f"SET innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}"),
    }
    return f"{url}?{waits[url.partition(':')[0]]}"


def connect(server: Server) -> Any:
    """A connection by the driver alone, where each statement is a transaction of its own."""
    if isinstance(server, PostgresServer):
        return psycopg.connect(server.url, autocommit=True)
    import MySQLdb

    return MySQLdb.connect(
        host="127.0.0.1", port=server.port, user=USER, database=DATABASE, autocommit=True, charset="utf8mb4"
    )


def require_mysql() -> None:
    """Skip where there is no driver or no server."""
    pytest.importorskip("MySQLdb", reason="mysqlclient is not installed (requirements-mysql.txt)")
    try:
        executable()
    except MySqlNotFound as missing:
        pytest.skip(str(missing))


def server_of_run(folder: Path) -> Server | None:
    """A server of that kind, for tests that need one of their own; none if it is SQLite."""
    make = SERVERS[of_run()]
    return make(folder) if make else None
