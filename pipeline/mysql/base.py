"""Django's backend for MySQL and MariaDB, with five differences.  Why: docs/decisions/0026-mysql.md.

- Text compares as it is written, whatever the server's own collation; who asks for any case gets it by `LOWER`.
- A UUID is a text of 32 digits: MariaDB's own type refuses some, and does not exist before 10.7.
- To ignore conflicts is to ignore conflicts: `INSERT IGNORE` would also shorten what is too long.
- A value that the server refuses is a `DataError`, not an `OperationalError`, which is the server's own trouble.
- So is a statement that is longer than the server takes: it would hang up, which looks as if it were away.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.backends.mysql import base, features, operations, schema
from django.db.models import Field
from django.db.models.constants import OnConflict
from MySQLdb.connections import Connection as DriverConnection

from pipeline.mysql.limits import StatementTooLong

_django: Any = base
"""With what its type stubs leave out."""
AS_WRITTEN = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
IN_ANY_CASE = ("iexact", "icontains", "istartswith", "iendswith")

VALUE_REFUSED = frozenset(
    {
        1118,  # MySQL: more than a tenth of its log
        1292,  # a value is none of its type
        1366,  # a text is none of its character set
        *range(3140, 3159),  # JSON that is invalid, too large or too deep
    }
)
"""Errors that the driver takes for the server's: https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html."""


class DatabaseFeatures(features.DatabaseFeatures):
    """What the server can do."""

    has_native_uuid_field = False


class DatabaseOperations(operations.DatabaseOperations):
    """How SQL is written."""

    def lookup_cast(self, lookup_type: str, internal_type: str | None = None) -> str:
        """What a comparison makes of its left side."""
        cast = super().lookup_cast(lookup_type, internal_type)
        return f"LOWER({cast})" if lookup_type in IN_ANY_CASE else cast

    def insert_statement(self, on_conflict: OnConflict | None = None) -> str:
        """How an INSERT begins."""
        return super().insert_statement(None if on_conflict == OnConflict.IGNORE else on_conflict)

    def on_conflict_suffix_sql(
        self,
        fields: "Sequence[Field[Any, Any]]",
        on_conflict: OnConflict | None,
        update_fields: Iterable[str],
        unique_fields: Iterable[str],
    ) -> str:
        """How an INSERT ends: a row that is there already is left as it is."""
        if on_conflict == OnConflict.IGNORE:
            column = self.quote_name(str(fields[0].column))
            return f"ON DUPLICATE KEY UPDATE {column} = {column}"
        return str(super().on_conflict_suffix_sql(fields, on_conflict, update_fields, unique_fields))


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    """How tables are made."""

    sql_create_table = f"{schema.DatabaseSchemaEditor.sql_create_table} {AS_WRITTEN}"

    def _column_default_sql(self, field: "Field[Any, Any]") -> str:
        """MySQL takes no literal as the default of a long text where a column is altered, not even one in brackets."""
        sql = str(super()._column_default_sql(field))  # type: ignore[misc]
        return "(CONCAT(%s))" if sql == "(%s)" else sql


class DatabaseWrapper(base.DatabaseWrapper):
    """The connection."""

    features_class = DatabaseFeatures
    ops_class = DatabaseOperations
    SchemaEditorClass = DatabaseSchemaEditor
    operators = base.DatabaseWrapper.operators | dict.fromkeys(IN_ANY_CASE, "LIKE LOWER(%s)")
    pattern_ops = base.DatabaseWrapper.pattern_ops | {
        "icontains": "LIKE CONCAT('%%', LOWER({}), '%%')",
        "istartswith": "LIKE CONCAT(LOWER({}), '%%')",
        "iendswith": "LIKE CONCAT('%%', LOWER({}))",
    }

    def get_new_connection(self, conn_params: dict[str, Any]) -> "Connection":
        """Connect, and ask how long a statement may be."""
        connection = Connection(**conn_params)
        cursor = connection.cursor()
        cursor.execute("SELECT @@max_allowed_packet")
        [connection.longest] = cursor.fetchone()
        return connection

    def create_cursor(self, name: str | None = None) -> "Cursor":
        """A cursor that tells whose fault an error is."""
        return Cursor(super().create_cursor(name).cursor)


class Connection(DriverConnection):  # type: ignore[misc]
    """The driver's, which sends no statement that the server does not take."""

    longest = sys.maxsize
    """Bytes of a packet: the statement, and one that says that it is one."""

    def query(self, query: bytes | bytearray) -> None:
        """Send a statement.

        Raises:
            StatementTooLong: it was not sent.
        """
        if len(query) + 1 >= self.longest:
            raise StatementTooLong(len(query), self.longest)
        super().query(query)


class Cursor(base.CursorWrapper):
    """Django's, where an error of a value is told from one of the server."""

    def execute(self, query: str, args: Any = None) -> Any:
        """Run a statement."""
        return self._telling(super().execute, query, args)

    def executemany(self, query: str, args: Any) -> Any:
        """Run a statement for each of many."""
        return self._telling(super().executemany, query, args)

    def _telling(self, run: Callable[..., Any], query: str, args: Any) -> Any:
        try:
            return run(query, args)
        except _django.Database.OperationalError as error:
            if error.args[0] in VALUE_REFUSED:
                raise _django.Database.DataError(*error.args) from error
            raise
