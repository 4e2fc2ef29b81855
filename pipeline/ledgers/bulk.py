"""Inserting many rows at once, for where what Django does to each value of each row would take most of the time."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Model
from django.db.models.constants import OnConflict

Row = Sequence[Any]
Each = TypeVar("Each", bound=Model)


UPDATED_AT_ONCE = 100
"""Rows per statement of `bulk_update`, whose cost grows with their square."""


def create(rows: Sequence[Each]) -> Sequence[Each]:
    """Insert new rows of one model, and give each the key that it got."""
    if rows and connection.features.can_return_rows_from_bulk_insert:
        return type(rows[0])._default_manager.bulk_create(rows)
    for row in rows:
        row.save(force_insert=True)
    return rows


def insert_unknown(model: type[Model], fields: Sequence[str], rows: Sequence[Row]) -> int:
    """Insert those of the rows whose key is new, and say how many these were.  May be repeated, in a transaction.

    Args:
        model: whose table; a field that is not named takes its `db_default`.
        fields: their names.
        rows: per row the values of these fields: texts, numbers, UUIDs, times, bytes and, for JSON, what JSON holds.

    Raises:
        ValueError: a value for a JSON field holds what JSON does not have.
    """
    named = {field.name: str(field.column) for field in model._meta.concrete_fields}
    columns = [named[field] for field in fields]
    insert = _INSERTS.get(connection.vendor, _insert_each)
    return insert(model, columns, rows)


def _insert_document(model: type[Model], columns: Sequence[str], rows: Sequence[Row]) -> int:
    """All rows as one JSON document: PostgreSQL runs one statement per row else, which costs more than the row."""
    document = json.dumps([dict(zip(columns, row, strict=True)) for row in rows], default=_text, allow_nan=False)
    quoted = ", ".join(map(connection.ops.quote_name, columns))
    table = connection.ops.quote_name(model._meta.db_table)
    statement = (
        f"INSERT INTO {table} ({quoted})"  # noqa: S608 - names of our own
        f" SELECT {quoted} FROM json_populate_recordset(NULL::{table}, %s)"
        " ON CONFLICT DO NOTHING"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [document])
        return int(cursor.rowcount)


def _text(value: Any) -> str:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


def _insert_counted(model: type[Model], columns: Sequence[str], rows: Sequence[Row]) -> int:
    """As `_insert_each`; but on MySQL the cursor counts a known row too.

    One that another process inserts between the count and the insertion is counted as new.
    """
    key = columns.index(str(model._meta.pk.column))
    keys = {row[key] for row in rows}
    known = model._default_manager.filter(pk__in=keys).count()
    _insert_each(model, columns, rows)
    return len(keys) - known


def _insert_each(model: type[Model], columns: Sequence[str], rows: Sequence[Row]) -> int:
    statement = " ".join(
        (
            connection.ops.insert_statement(on_conflict=OnConflict.IGNORE),
            connection.ops.quote_name(model._meta.db_table),
            f"({', '.join(map(connection.ops.quote_name, columns))})",
            f"VALUES ({', '.join(['%s'] * len(columns))})",
            connection.ops.on_conflict_suffix_sql([model._meta.pk], OnConflict.IGNORE, [], []),
        )
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, list(zip(*map(_adapted, zip(*rows, strict=True)), strict=True)))
        return int(cursor.rowcount)


_INSERTS = {"postgresql": _insert_document, "mysql": _insert_counted}


def _adapted(values: Sequence[Any]) -> Sequence[Any]:
    """A column as the driver takes it.  Many rows share a time, which is then adapted once."""
    match next((value for value in values if value is not None), None):
        case UUID():
            return [value and value.hex for value in values]
        case datetime():
            known = {value: value and connection.ops.adapt_datetimefield_value(value) for value in set(values)}
            return [known[value] for value in values]
        case dict():
            return [json.dumps(value, allow_nan=False) for value in values]
    return values
