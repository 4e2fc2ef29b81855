"""Peers as tests make them: the records of a `dumpdata`, row by row, and the same as tables of a database."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from pipeline.embedded.mysql import MySqlServer
from pipeline.embedded.postgres import PostgresServer
from pipeline.lms.events import PASSING
from pipeline.switching.dump import read_dump
from pipeline.switching.report import Entry, Report, Section
from pipeline.switching.takeover import take_over
from tests.databases import connect
from tests.ledgers.builders import DEMO

REFERENCE = Path(__file__).parent / "reference.json"
"""A dump that a peer made of its own, with the oddities of real sites."""

EARNED = "2026-05-01T12:00:00Z"
CHANGED = "2026-05-01T13:00:00Z"
"""When the peer created a badge, and when it changed it last: minutes 0 and 60 of `builders.at`."""


def silent(what: str, done: int, total: int | None) -> None:
    """Nobody looks at the bar."""


class PeerDump:
    """Records of a dump.  Each method adds a row and returns its key."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self._keys = count(1)

    def add(self, model: str, pk: int | None = None, **fields: Any) -> int:
        pk = pk or next(self._keys)
        self.records.append({"model": model, "pk": pk, "fields": fields})
        return pk

    def organization(self, **fields: Any) -> int:
        given = {"uuid": str(uuid4()), "name": "Academy", "api_key": "the-key"}
        return self.add("badges.credlyorganization", **given | fields)

    def template(self, organization: int | None = None, *, provider: str = "credly", **fields: Any) -> int:
        given = {
            "site": 1,
            "is_active": True,
            "uuid": str(uuid4()),
            "name": "Intro Course",
            "description": "What it is",
            "icon": "https://images.credly.example/i.png",
            "origin": provider,
            "state": "active",
        }
        pk = self.add("badges.badgetemplate", **given | fields)
        if provider == "credly":
            self.add("badges.credlybadgetemplate", pk, organization=organization or self.organization())
        return pk

    def requirement(self, template: int, *rules: tuple[str, str, str], **fields: Any) -> int:
        given = {"template": template, "event_type": PASSING, "description": "", "blend": "A"}
        pk = self.add("badges.badgerequirement", **given | fields)
        for path, operator, value in rules:
            self.add("badges.datarule", requirement=pk, data_path=path, operator=operator, value=value)
        return pk

    def penalty(self, template: int, requirements: list[int], *rules: tuple[str, str, str]) -> int:
        pk = self.add("badges.badgepenalty", template=template, event_type=PASSING, requirements=requirements)
        for path, operator, value in rules:
            self.add("badges.penaltydatarule", penalty=pk, data_path=path, operator=operator, value=value)
        return pk

    def course_template(self, organization: int | None = None, **fields: Any) -> tuple[int, int]:
        """The usual template: passing the demo course earns it, failing it takes it back.  Its key and the requirement's."""
        template = self.template(organization, **fields)
        course = ("course.course_key", "eq", DEMO)
        demo = self.requirement(template, ("is_passing", "eq", "true"), course)
        self.penalty(template, [demo], ("is_passing", "eq", "false"), course)
        return template, demo

    def user(self, username: str = "dana", lms_user_id: int | None = 4711, **fields: Any) -> int:
        given = {
            "username": username,
            "email": f"{username}@learners.example",
            "first_name": "",
            "last_name": "",
            "full_name": f"{username.title()} Moe",
            "lms_user_id": lms_user_id,
            "is_active": True,
            "date_joined": "2026-04-01T08:00:00Z",
        }
        return self.add("core.user", **given | fields)

    def progress(self, username: str, template: int | None, *fulfilled: int | None) -> int:
        pk = self.add("badges.badgeprogress", username=username, template=template)
        for requirement in fulfilled:
            self.add("badges.fulfillment", progress=pk, requirement=requirement, blend="A")
        return pk

    def badge(
        self, username: str, template: int, state: str = "accepted", credly_id: UUID | str | None = None, **fields: Any
    ) -> int:
        given = {
            "credential_content_type": 13,
            "credential_id": template,
            "username": username,
            "status": "awarded",
            "uuid": str(uuid4()),
            "created": EARNED,
            "modified": CHANGED,
        }
        pk = self.add("credentials.usercredential", **given | fields)
        self.add("badges.credlybadge", pk, state=state, external_uuid=str(credly_id) if credly_id else None)
        return pk

    def holder(self, template: tuple[int, int], username: str = "dana", lms_user_id: int = 4711, **badge: Any) -> int:
        """A learner who has fulfilled the usual template and holds its badge; the badge's key."""
        self.user(username, lms_user_id)
        self.progress(username, *template)
        return self.badge(username, template[0], **{"credly_id": uuid4()} | badge)

    def fields(self, model: str, pk: int) -> dict[str, Any]:
        return next(row["fields"] for row in self.records if (row["model"], row["pk"]) == (model, pk))

    def write(self, file: Path) -> Path:
        file.write_text(json.dumps(self.records))
        return file


def imported(file: Path, *, dry_run: bool = False, with_keys: bool = True, **lms_ids: int) -> Report:
    """Take over a dump; `lms_ids` by username."""
    return take_over(read_dump(str(file), silent), lms_ids, dry_run=dry_run, advance=silent, with_keys=with_keys)


def said(report: Report, section: Section) -> dict[tuple[str, int | str], str]:
    """What a section says, by label and key; of several about one row the last."""
    return {(entry.label, entry.pk): entry.reason for entry in report.entries if entry.section is section}


def entries(report: Report, label: str) -> list[Entry]:
    return [entry for entry in report.entries if entry.label == label]


LINKS = {"site", "template", "requirement", "penalty", "progress", "organization", "api_config"}
PARENTS = {
    "badges.credlybadgetemplate": "badgetemplate_ptr_id",
    "badges.accrediblegroup": "badgetemplate_ptr_id",
    "badges.credlybadge": "usercredential_ptr_id",
    "badges.accrediblebadge": "usercredential_ptr_id",
}


RESETS = "badges_badgepenalty_requirements"
"""The table of a penalty's requirements, which a dump has as a list."""


def as_database(records: list[dict[str, Any]], file: Path) -> Path:
    """The records as Django keeps them on SQLite: UUIDs without hyphens, booleans as numbers, times without a zone."""
    with sqlite3.connect(file) as database:
        for table, columns, rows in _tables(records):
            quoted = ", ".join(f'"{column}"' for column in columns)
            database.execute(f"CREATE TABLE {table} ({quoted})")
            marks = ", ".join("?" * len(columns))
            stored = [_as_text(columns, row) for row in rows]
            database.executemany(f"INSERT INTO {table} ({quoted}) VALUES ({marks})", stored)
    database.close()
    return file


def as_postgres(records: list[dict[str, Any]], server: PostgresServer) -> None:
    """The records as Django keeps them on PostgreSQL, in columns of the types that it gives them; what was there goes."""
    with psycopg.connect(server.url) as database:
        for table, columns, rows in _tables(records):
            types = ", ".join(f'"{column}" {_type(column)}' for column in columns)
            database.execute(f"DROP TABLE IF EXISTS {table}")
            database.execute(f"CREATE TABLE {table} ({types})")
            marks = ", ".join(["%s"] * len(columns))
            with database.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def as_mysql(records: list[dict[str, Any]], server: MySqlServer) -> None:
    """The same on MySQL or MariaDB, where UUIDs and times are written as on SQLite."""
    with closing(connect(server)) as database, closing(database.cursor()) as cursor:
        for table, columns, rows in _tables(records):
            types = ", ".join(f"`{column}` {ON_MYSQL.get(_type(column), _type(column))}" for column in columns)
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            cursor.execute(f"CREATE TABLE {table} ({types})")
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", [_as_text(columns, row) for row in rows])


def _tables(records: list[dict[str, Any]]) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """Name, columns and rows of each table."""
    resets = []
    for model in {row["model"] for row in records}:
        rows = [row for row in records if row["model"] == model]
        names = [name for name in rows[0]["fields"] if name not in ("groups", "user_permissions", "requirements")]
        columns = [PARENTS.get(model, "id"), *(f"{name}_id" if name in LINKS else name for name in names)]
        yield model.replace(".", "_"), columns, [[row["pk"], *(row["fields"][name] for name in names)] for row in rows]
        resets += [[row["pk"], named] for row in rows for named in row["fields"].get("requirements", [])]
    yield RESETS, ["badgepenalty_id", "badgerequirement_id"], resets


UUIDS = ("uuid", "external_uuid")
TIMES = ("created", "modified", "date_joined", "last_login")


ON_MYSQL = {"uuid": "char(32)", "timestamp with time zone": "datetime(6)", "text": "longtext"}


def _as_text(columns: list[str], row: list[Any]) -> list[Any]:
    return [_cell(*cell) for cell in zip(columns, row, strict=True)]


def _cell(column: str, value: Any) -> Any:
    if column in UUIDS and value:
        return UUID(value).hex
    return value.replace("T", " ").removesuffix("Z") if column in TIMES and value else value


def _type(column: str) -> str:
    if column in UUIDS or column in TIMES:
        return "uuid" if column in UUIDS else "timestamp with time zone"
    if column.startswith("is_"):
        return "boolean"
    is_number = column == "id" or (column.endswith("_id") and column != "external_id")
    return "bigint" if is_number or column in ("site_id", "credential_content_type") else "text"
