"""The database of a cluster: how it is looked at from outside, and how it is broken."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg.types.string import TextLoader

from pipeline.embedded.postgres import PostgresServer

OURS = "the test"
"""The name of the test's own connections, which are not cut."""


class Database(Protocol):
    """What a cluster asks of its database."""

    server: PostgresServer | None

    @property
    def url(self) -> str:
        """For `DATABASE_URL`."""

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows, over a connection that is for reading only."""


class Sqlite:
    """A file.

    Args:
        folder: where it is.
        busy_seconds: how long who finds it locked waits.
    """

    server = None

    def __init__(self, folder: Path, busy_seconds: int = 20) -> None:
        self.file = folder / "db.sqlite3"
        self._busy_seconds = busy_seconds

    @property
    def url(self) -> str:
        """For `DATABASE_URL`."""
        return f"sqlite:///{self.file}?timeout={self._busy_seconds}"

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows, over a connection that is for reading only."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=20)) as connection:
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody is in the middle of writing, so that nobody else can."""
        with closing(sqlite3.connect(self.file, timeout=20, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")


class Postgres:
    """A server.

    Args:
        folder: the cluster's.
        lock_timeout: how long a statement waits for a lock, in PostgreSQL's words; the pipeline's own unless given.
    """

    def __init__(self, folder: Path, lock_timeout: str | None = None) -> None:
        self.server = PostgresServer(folder / "postgres", "-c", "deadlock_timeout=500ms")
        self._lock_timeout = lock_timeout

    @property
    def url(self) -> str:
        """For `DATABASE_URL`."""
        return self.server.url + (f"?options=-c%20lock_timeout%3D{self._lock_timeout}" if self._lock_timeout else "")

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the test's own, which nobody cuts."""
        connection = psycopg.connect(
            self.server.url, application_name=OURS, autocommit=True, options="-c lock_timeout=5s"
        )
        connection.adapters.register_loader("uuid", TextLoader)
        return connection

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows, over a connection that is for reading only.  UUIDs are texts, as in SQLite."""
        with closing(self.connect()) as connection:
            connection.read_only = True
            return connection.execute(sql, values or None).fetchall()

    @contextmanager
    def away(self) -> Iterator[None]:
        """All processes of the server are killed, and it is started again on the same port."""
        self.server.kill()
        try:
            yield
        finally:
            self.server.start()

    def crash(self) -> None:
        """What a loss of power does, of a machine that comes back at once."""
        with self.away():
            pass

    def restart(self) -> None:
        """What an upgrade does: everybody is disconnected in the middle of things."""
        self.server.stop()
        self.server.start()

    def cut(self, *, in_transaction: bool = True) -> int:
        """Cut the connections of those processes that are in the middle of a transaction, or of all.  Returns how many."""
        sql = """
            SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND application_name <> %s AND (xact_start IS NOT NULL OR NOT %s)
        """
        with closing(self.connect()) as connection:
            cut: int = connection.execute(sql, [OURS, in_transaction]).fetchall()[0][0]
        return cut

    @contextmanager
    def locked(self, *statements: str) -> Iterator[psycopg.Connection[Any]]:
        """A session of somebody else holds the locks that these statements take."""
        with closing(self.connect()) as connection:
            connection.execute("BEGIN")
            for statement in statements:
                connection.execute(statement)
            yield connection

    def waits_for_a_lock(self) -> bool:
        """Whether anybody does."""
        return bool(self.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' LIMIT 1"))


def cut_own_connection() -> None:
    """Have the server end the connection that this thread works with; its next statement finds that out."""
    from django.db import connection

    if connection.connection is not None:
        with closing(psycopg.connect(os.environ["DATABASE_URL"])) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
