"""What the database says, read from outside the processes that are measured."""

import sqlite3
from typing import Any

import psycopg

SQLITE = "sqlite:///"


class Ledger:
    """A connection for reading to the database of a `DATABASE_URL`."""

    def __init__(self, url: str) -> None:
        self._connection: Any
        if url.startswith(SQLITE):
            file = url.removeprefix(SQLITE)
            self._connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=20, isolation_level=None)
        else:
            self._connection = psycopg.connect(url, autocommit=True)

    def rows(self, sql: str) -> list[Any]:
        """The rows of a query."""
        return list(self._connection.execute(sql).fetchall())

    def count(self, table: str, where: str = "true") -> int:
        """How many rows of a table there are."""
        return int(self.rows(f"SELECT COUNT(*) FROM pipeline_{table} WHERE {where}")[0][0])

    def counts(self, table: str, column: str) -> dict[str, int]:
        """How many rows there are by the value of a column."""
        return dict(self.rows(f"SELECT {column}, COUNT(*) FROM pipeline_{table} GROUP BY {column}"))

    def any(self, table: str, where: str) -> bool:
        """Whether there is such a row: cheap where an index leads to it."""
        return bool(self.rows(f"SELECT 1 FROM pipeline_{table} WHERE {where} LIMIT 1"))

    def waiting(self) -> str:
        """The first stage, in the order of an event's way, at which something waits; empty if there is none."""
        stages = {
            "event": "status = 'received'",
            "badge": "due_at IS NOT NULL",
            "signal": "state = 'pending'",
        }
        return next((table for table, where in stages.items() if self.any(table, where)), "")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
