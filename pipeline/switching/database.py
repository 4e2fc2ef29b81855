"""Reading the peer from its database: plain SELECTs in one transaction that can't write."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler

from pipeline.switching.dump import ADVANCE_EVERY, Advance
from pipeline.switching.peer import Peer, PeerError
from pipeline.switching.tables import ACCREDIBLE, TABLES, Table, add_other, check

SNAPSHOT = {
    # One look at all tables, whatever the peer writes meanwhile.  The connection is closed at the end, never committed.
    "postgresql": ("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",),
    "mysql": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",  # Django's is READ COMMITTED, which has no snapshot
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
    "sqlite": ("PRAGMA query_only = ON", "BEGIN"),
}
SCHEMES = ("postgres", "postgresql", "mysql", "sqlite")
NAME = "the peer's database"


def read_database(url: str, advance: Advance) -> Peer:
    """Read the tables of a peer.  Changes nothing there.

    Args:
        url: as `DATABASE_URL`; it may hold a password and is never shown.
        advance: called after every `ADVANCE_EVERY` rows.

    Raises:
        PeerError: it can't be used, is no peer's, or refuses.
    """
    connection = _connection(url)
    try:
        found = _read(connection, advance)
    except DatabaseError as error:
        raise PeerError(f"{NAME} refuses: {' '.join(str(error).split())}") from error
    finally:
        connection.close()
    check(found, NAME)
    return found


def _connection(url: str) -> BaseDatabaseWrapper:
    scheme, separator, _ = url.partition("://")
    if scheme not in SCHEMES or not separator:
        raise PeerError("--database must be a URL that begins with postgres://, mysql:// or sqlite://")
    try:
        parsed = dj_database_url.parse(url)
        handler = ConnectionHandler({DEFAULT_DB_ALIAS: dict(parsed)})
        connection = handler[DEFAULT_DB_ALIAS]
    except ValueError:
        raise PeerError("--database is no such URL") from None
    except ImproperlyConfigured as error:
        raise PeerError(f"{NAME} can't be read: {' '.join(str(error).split())}") from error
    if connection.vendor == "sqlite" and not Path(str(parsed["NAME"])).is_file():
        raise PeerError(f"{NAME} can't be read: there is no such file")
    return connection


def _read(connection: BaseDatabaseWrapper, advance: Advance) -> Peer:
    found = Peer()
    with connection.cursor() as cursor:
        for statement in SNAPSHOT[connection.vendor]:
            cursor.execute(statement)
        there = set(connection.introspection.table_names(cursor))
        for table in TABLES:
            if table.in_database not in there:
                raise PeerError(f"{NAME} has no table {table.in_database}: is it that of openedx/credentials?")
            for done, (pk, fields) in enumerate(_rows(connection, table)):
                table.add(found, pk, fields, NAME)
                if done % ADVANCE_EVERY == 0:
                    advance(f"Reading {table.in_database}", done, None)
        for label, key in ACCREDIBLE.items():
            name = label.replace(".", "_")
            if name in there:
                for (pk,) in _select(connection, name, [key]):
                    add_other(found, label, pk, NAME)
    return found


def _rows(connection: BaseDatabaseWrapper, table: Table) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Key and fields of each row, by the names that a dump has."""
    many = {name: _many(connection, *link) for name, link in table.many.items()}
    columns = [column for column in table.columns.values() if column.name not in many]
    names = [table.key, *(column.in_database for column in columns)]
    for pk, *values in _select(connection, table.in_database, names, table.where):
        fields = dict(zip((column.name for column in columns), values, strict=True))
        yield pk, fields | {name: keys.get(pk, []) for name, keys in many.items()}


def _many(connection: BaseDatabaseWrapper, table: str, owner: str, other: str) -> dict[int, list[int]]:
    keys = defaultdict(list)
    for pk, named in _select(connection, table, [owner, other]):
        keys[pk].append(named)
    return keys


def _select(
    connection: BaseDatabaseWrapper, table: str, columns: list[str], where: str = ""
) -> Iterator[tuple[Any, ...]]:
    quoted = ", ".join(map(connection.ops.quote_name, columns))
    statement = f"SELECT {quoted} FROM {connection.ops.quote_name(table)}"  # noqa: S608 - names of our own
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} WHERE {where}" if where else statement)
        while rows := cursor.fetchmany(ADVANCE_EVERY):
            yield from rows
