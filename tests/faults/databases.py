"""The database of a cluster: how it is looked at from outside, and how it is broken."""

import os
import shutil
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg.types.string import TextLoader

from pipeline.embedded.mysql import USER, MySqlServer
from pipeline.embedded.postgres import PostgresServer
from tests.databases import connect, of_run, patient

OURS = "the test"
"""The name of the test's own connections, which are not cut."""


class Database(Protocol):
    """What a cluster asks of its database."""

    server: PostgresServer | MySqlServer | None

    @property
    def url(self) -> str:
        """For `DATABASE_URL`."""

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows, over a connection that is for reading only; `%s` stands for each of the values."""

    def unwritable(self, table: str) -> AbstractContextManager[None]:
        """Nobody can write to this table of ours meanwhile; it can be read."""

    def save(self, copy: Path) -> None:
        """Keep what is in it now."""

    def restore(self, copy: Path) -> None:
        """Have it hold what was saved, and nothing else.  Nobody uses it meanwhile."""


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
        return patient(f"sqlite:///{self.file}", self._busy_seconds)

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows, over a connection that is for reading only."""
        sql = sql.replace("%s", "?")
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=20)) as connection:
            return connection.execute(sql, values).fetchall()

    def save(self, copy: Path) -> None:
        """Keep what is in it now."""
        with closing(sqlite3.connect(self.file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)

    def restore(self, copy: Path) -> None:
        """Have it hold what was saved, and nothing else.  Nobody uses it meanwhile."""
        for left in (self.file, Path(f"{self.file}-wal"), Path(f"{self.file}-shm")):
            left.unlink(missing_ok=True)
        shutil.move(copy, self.file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody is in the middle of writing, so that nobody else can."""
        with closing(sqlite3.connect(self.file, timeout=20, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")

    def unwritable(self, table: str) -> AbstractContextManager[None]:
        """Nobody can write to this table meanwhile, nor to any other; it can be read."""
        return self.locked()


class Server(ABC):
    """What can become of a server of either kind."""

    server: PostgresServer | MySqlServer

    @staticmethod
    @abstractmethod
    def lock(table: str, *, to_write: bool = False) -> str:
        """The statement that keeps others from a table of ours, or only from writing to it."""

    @abstractmethod
    def locked(self, *statements: str) -> AbstractContextManager[Any]:
        """A session of somebody else holds the locks that these statements take."""

    @contextmanager
    def unwritable(self, table: str) -> Iterator[None]:
        """Nobody can write to this table of ours meanwhile; it can be read."""
        with self.locked(self.lock(table, to_write=True)):
            yield

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

    def save(self, copy: Path) -> None:
        """Keep what is in it now.  The server is restarted for it."""
        self.server.stop()
        subprocess.run(["cp", "-a", self.server.folder / "data", copy], check=True)
        self.server.start()

    def restore(self, copy: Path) -> None:
        """Have it hold what was saved, and nothing else."""
        self.server.stop()
        shutil.rmtree(self.server.folder / "data")
        subprocess.run(["mv", copy, self.server.folder / "data"], check=True)
        self.server.start()


class Postgres(Server):
    """A PostgreSQL server.

    Args:
        folder: the cluster's.
        lock_seconds: how long a statement waits for a lock; the pipeline's own time unless given.
    """

    LockTimeout = psycopg.errors.LockNotAvailable
    NO_VICTIM = "SET LOCAL deadlock_timeout = '1min'"
    """Who has waited for longer than its own is the victim of a deadlock: whoever says this is none."""

    def __init__(self, folder: Path, lock_seconds: int | None = None) -> None:
        self.server = PostgresServer(folder / "postgres", "-c", "deadlock_timeout=500ms")
        self._lock_seconds = lock_seconds

    @property
    def url(self) -> str:
        """For `DATABASE_URL`."""
        return patient(self.server.url, self._lock_seconds) if self._lock_seconds else self.server.url

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the test's own, which nobody cuts."""
        connection = psycopg.connect(
            self.server.url, application_name=OURS, autocommit=True, options="-c lock_timeout=5s -c timezone=UTC"
        )
        connection.adapters.register_loader("uuid", TextLoader)
        return connection

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows, over a connection that is for reading only.  UUIDs are texts, as in SQLite."""
        with closing(self.connect()) as connection:
            connection.read_only = True
            return connection.execute(sql, values or None).fetchall()

    def cut(self, *, in_transaction: bool = True) -> int:
        """Cut the connections of those processes that are in the middle of a transaction, or of all.  Returns how many."""
        sql = """
            SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND application_name <> %s AND (xact_start IS NOT NULL OR NOT %s)
        """
        with closing(self.connect()) as connection:
            cut: int = connection.execute(sql, [OURS, in_transaction]).fetchall()[0][0]
        return cut

    @staticmethod
    def lock(table: str, *, to_write: bool = False) -> str:
        """The statement that keeps others from a table of ours, or only from writing to it."""
        return f"LOCK TABLE pipeline_{table} IN {'EXCLUSIVE' if to_write else 'ACCESS EXCLUSIVE'} MODE"

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

    def deadlocks(self) -> int:
        """How many there were."""
        return int(self.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0])


class MySql(Server):
    """A MariaDB or MySQL server; as for `Postgres`."""

    class LockTimeout(Exception):
        """Who asked has waited for a lock for too long."""

    NO_VICTIM = """
        INSERT INTO django_session (session_key, session_data, expire_date)
        WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 500)
        SELECT CONCAT('of the test', number), '', NOW() FROM numbers
    """
    """Who has written least is the victim of a deadlock: whoever says this is none."""

    def __init__(self, folder: Path, lock_seconds: int | None = None) -> None:
        self.server = MySqlServer(folder / "mysql")
        self._lock_seconds = lock_seconds

    @property
    def url(self) -> str:
        """For `DATABASE_URL`."""
        return patient(self.server.url, self._lock_seconds) if self._lock_seconds else self.server.url

    def connect(self) -> Any:
        """A connection of the test's own, which nobody cuts."""
        connection = connect(self.server)
        connection.cursor().execute("SET SESSION innodb_lock_wait_timeout = 5, SESSION lock_wait_timeout = 5")
        return connection

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows.  UUIDs are texts, as in SQLite."""
        from MySQLdb import OperationalError

        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("START TRANSACTION READ ONLY")
            try:
                cursor.execute(sql, values or None)
            except OperationalError as error:
                if error.args[0] == LOCK_WAIT_TIMEOUT:
                    raise self.LockTimeout from error
                raise
            return list(cursor.fetchall())

    def cut(self, *, in_transaction: bool = True) -> int:
        """Cut the connections of those processes that are in the middle of a transaction, or of all.  Returns how many."""
        sql = (
            "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_mysql_thread_id <> 0"
            if in_transaction
            else f"SELECT id FROM information_schema.processlist WHERE user = '{USER}'"
        )
        time.sleep(TRANSACTIONS_SEEN_SECONDS)
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            return sum(_killed(cursor, number) for (number,) in cursor.fetchall() if number != connection.thread_id())

    @staticmethod
    def lock(table: str, *, to_write: bool = False) -> str:
        """The statement that keeps others from a table of ours, or only from writing to it."""
        return f"LOCK TABLES pipeline_{table} {'READ' if to_write else 'WRITE'}"

    @contextmanager
    def locked(self, *statements: str) -> Iterator[Any]:
        """A session of somebody else holds the locks that these statements take."""
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("BEGIN")
            for statement in statements:
                cursor.execute(statement)
            yield cursor

    def waits_for_a_lock(self) -> bool:
        """Whether anybody does."""
        [(_, for_rows)] = self.query("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
        for_tables = "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'"
        return int(for_rows) > 0 or bool(self.query(for_tables))

    def deadlocks(self) -> int:
        """How many there were."""
        try:
            return int(self.query("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0][1])
        except IndexError:  # MySQL counts them there
            sql = "SELECT `count` FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
            return int(self.query(sql)[0][0])


LOCK_WAIT_TIMEOUT = 1205
TRANSACTIONS_SEEN_SECONDS = 0.11
"""InnoDB shows the transactions of before to whoever looks again sooner."""


def _killed(cursor: Any, number: int) -> bool:
    from MySQLdb import OperationalError

    try:
        cursor.execute("KILL %s", [number])
    except OperationalError:  # it ended by itself
        return False
    return True


KINDS: dict[str, Any] = {"sqlite": Sqlite, "postgres": Postgres, "mysql": MySql}
OF_RUN = KINDS[of_run()]
"""That of `make test DB=...`."""
SERVER = Postgres if OF_RUN is Sqlite else OF_RUN
"""For tests of what befalls a server."""


def cut_own_connection() -> None:
    """Have the server end the connection that this thread works with; its next statement finds that out."""
    from django.db import connection

    if connection.connection is None:
        return
    if connection.vendor == "mysql":
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("KILL %s", [connection.connection.thread_id()])
        return
    with closing(psycopg.connect(os.environ["DATABASE_URL"])) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
