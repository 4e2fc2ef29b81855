"""Reading a peer: dumps of both kinds, databases, and what is wrong with them, in one line."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pipeline.embedded.mysql import MySqlServer
from pipeline.embedded.postgres import PostgresServer
from pipeline.switching.database import SNAPSHOT, read_database
from pipeline.switching.dump import read_dump
from pipeline.switching.peer import PeerError
from pipeline.switching.people import read_lms_ids
from tests.databases import Server, connect, require_mysql
from tests.switching.peers import REFERENCE, PeerDump, as_database, as_mysql, as_postgres, silent

HOLDINGS = "badges_credlybadge"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(scope="module")
def mysql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySqlServer]:
    require_mysql()
    with MySqlServer(tmp_path_factory.mktemp("mysql")) as running:
        yield running


@pytest.fixture(params=["postgres", "mysql"])
def peer(request: pytest.FixtureRequest) -> Server:
    """A server with the reference dump's rows."""
    server: Server = request.getfixturevalue(request.param)
    records = json.loads(REFERENCE.read_text())
    if isinstance(server, PostgresServer):
        as_postgres(records, server)
    else:
        as_mysql(records, server)
    return server


def test_a_dump_line_by_line_is_read_like_one_in_a_list(tmp_path: Path):
    file = tmp_path / "peer.jsonl"
    file.write_text("\n".join(map(json.dumps, json.loads(REFERENCE.read_text()))) + "\n")
    assert read_dump(str(file), silent) == read_dump(str(REFERENCE), silent)


@pytest.mark.django_db
def test_a_database_is_read_like_a_dump_of_it(tmp_path: Path):
    file = as_database(json.loads(REFERENCE.read_text()), tmp_path / "peer.sqlite3")
    assert read_database(f"sqlite:///{file}", silent) == read_dump(str(REFERENCE), silent)


@pytest.mark.django_db
def test_a_database_on_a_server_is_read_like_a_dump_of_it(peer: Server):
    assert read_database(peer.url, silent) == read_dump(str(REFERENCE), silent)


@pytest.mark.django_db
def test_what_the_peer_commits_while_it_is_read_is_not_seen(peer: Server):
    with closing(connect(peer)) as database, closing(database.cursor()) as writer:
        found = read_database(peer.url, lambda *_: writer.execute(f"DELETE FROM {HOLDINGS}"))
        writer.execute(f"SELECT COUNT(*) FROM {HOLDINGS}")
        assert writer.fetchone() == (0,)
    assert found == read_dump(str(REFERENCE), silent)


def test_the_transaction_in_which_a_server_is_read_cannot_write(peer: Server):
    with closing(connect(peer)) as database, closing(database.cursor()) as reader:
        for statement in SNAPSHOT["postgresql" if isinstance(peer, PostgresServer) else "mysql"]:
            reader.execute(statement)
        with pytest.raises(Exception, match=r"(?i)read.only transaction"):
            reader.execute(f"DELETE FROM {HOLDINGS}")


def test_users_and_credentials_that_are_of_no_concern_are_not_kept():
    found = read_dump(str(REFERENCE), silent)
    assert 1 not in found.users
    assert 9 not in found.credentials


@pytest.mark.django_db
def test_a_database_from_before_the_other_provider_is_read(dump: PeerDump, tmp_path: Path):
    dump.holder(dump.course_template())
    file = as_database(dump.records, tmp_path / "peer.sqlite3")
    assert len(read_database(f"sqlite:///{file}", silent).credly_badges) == 1


@pytest.mark.django_db
def test_a_database_is_left_as_it_was(dump: PeerDump, tmp_path: Path):
    dump.holder(dump.course_template())
    file = as_database(dump.records, tmp_path / "peer.sqlite3")
    before = file.read_bytes()
    read_database(f"sqlite:///{file}", silent)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["peer.sqlite3"]


def test_the_transaction_in_which_a_database_is_read_cannot_write(dump: PeerDump, tmp_path: Path):
    dump.organization()
    with closing(sqlite3.connect(as_database(dump.records, tmp_path / "peer.sqlite3"))) as database:
        for statement in SNAPSHOT["sqlite"]:
            database.execute(statement)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.execute("DELETE FROM badges_credlyorganization")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("oracle://u:secret@host/x", "--database must be a URL that begins with postgres://, mysql:// or sqlite://"),
        ("peer.sqlite3", "--database must be a URL that begins with postgres://, mysql:// or sqlite://"),
        ("sqlite:////nowhere/peer.sqlite3", "the peer's database can't be read: there is no such file"),
        ("postgres://u:secret@127.0.0.1:1/x", "the peer's database refuses: connection failed"),
        ("postgres://u:secret@host:port/x", "--database is no such URL"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_without_the_password(url: str, reason: str):
    with pytest.raises(PeerError) as error:
        read_database(url, silent)
    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.django_db
def test_another_database_is_told_from_the_peers(tmp_path: Path):
    file = as_database([{"model": "core.user", "pk": 1, "fields": {"username": "dana"}}], tmp_path / "x.sqlite3")
    with pytest.raises(PeerError, match=r"has no table badges_credlyorganization: is it that of openedx/credentials\?"):
        read_database(f"sqlite:///{file}", silent)


def refusal(dump: PeerDump, tmp_path: Path) -> str:
    """What reading says, without the file's folder."""
    with pytest.raises(PeerError) as error:
        read_dump(str(dump.write(tmp_path / "peer.json")), silent)
    return str(error.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("model", "field", "value", "allowed"),
    [
        ("badges.credlyorganization", "uuid", "7d1b", "a UUID"),
        ("badges.badgetemplate", "is_active", "perhaps", "true or false"),
        ("badges.badgetemplate", "name", 7, "a text"),
        ("badges.badgetemplate", "name", "x" * 256, "a text of at most 255 characters"),
        ("badges.badgetemplate", "name", "In\0tro", "a text without NUL and without halves of surrogate pairs"),
        ("badges.badgetemplate", "description", "\ud800", "a text without NUL and without halves of surrogate pairs"),
        ("badges.badgerequirement", "blend", 7, "a text"),
        ("badges.badgerequirement", "template", None, "a whole number; dump without"),
        ("badges.datarule", "operator", 7, "a text"),
        ("badges.badgepenalty", "requirements", [["by", "name"]], "a whole number; dump without"),
        ("core.user", "lms_user_id", -4, "a whole number; dump without"),
        ("core.user", "date_joined", "yesterday", "a time such as 2026-05-01T12:00:00Z"),
        ("core.user", "date_joined", "0001-01-01T00:00:00+05:00", "a time in the years 1 to 9999"),
        ("core.user", "email", "dana\0@learners.example", "a text without NUL and without halves of surrogate pairs"),
        ("credentials.usercredential", "modified", None, "a time such as 2026-05-01T12:00:00Z"),
        ("credentials.usercredential", "modified", "2026-13-01T00:00:00Z", "a time such as"),
        ("credentials.usercredential", "status", 7, "a text"),
        ("badges.credlybadge", "state", True, "a text"),
        ("badges.credlybadge", "external_uuid", "x", "a UUID"),
    ],
)
def test_a_wrong_value_is_named_by_record_label_key_and_field_and_not_shown(
    dump: PeerDump, tmp_path: Path, model: str, field: str, value: Any, allowed: str
):
    dump.holder(dump.course_template())
    row = next(row for row in dump.records if row["model"] == model)
    row["fields"][field] = value
    said = refusal(dump, tmp_path)
    number = dump.records.index(row) + 1
    assert said.startswith(f"peer.json: record {number}: {model} {row['pk']}: {field} must be {allowed}")
    assert (
        str(value) not in said.removeprefix("peer.json").split(" must be ")[1] or len(str(value)) < 3 or value is None
    )


def test_a_missing_field_is_named(dump: PeerDump, tmp_path: Path):
    pk = dump.organization()
    del dump.fields("badges.credlyorganization", pk)["uuid"]
    assert refusal(dump, tmp_path) == f"peer.json: record 1: badges.credlyorganization {pk}: the field uuid is missing"


def test_a_key_that_is_there_twice_is_named(dump: PeerDump, tmp_path: Path):
    pk = dump.organization()
    dump.records.append(dump.records[0])
    assert refusal(dump, tmp_path) == f"peer.json: record 2: badges.credlyorganization {pk} is there twice"


@pytest.mark.parametrize("model", ["badges.credlyorganization", "badges.badgetemplate", "credentials.usercredential"])
def test_a_uuid_that_is_there_twice_is_named(dump: PeerDump, tmp_path: Path, model: str):
    dump.holder(dump.course_template())
    dump.holder(dump.course_template(), "eli", 4712)
    first, second = (row for row in dump.records if row["model"] == model)
    second["fields"]["uuid"] = first["fields"]["uuid"]
    assert refusal(dump, tmp_path) == f"peer.json: {model} {second['pk']} has the UUID of {model} {first['pk']}"


def test_a_dump_without_keys_is_told_from_one_with(dump: PeerDump, tmp_path: Path):
    dump.organization()
    del dump.records[0]["pk"]
    said = refusal(dump, tmp_path)
    assert said.startswith("peer.json: record 1: badges.credlyorganization: pk must be a whole number; dump without")


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        ("badges.badgetemplate", "badges.credlybadgetemplate {pk} names badges.badgetemplate {pk}"),
        ("badges.credlyorganization", "names badges.credlyorganization {pk}"),
        ("badges.badgerequirement", "names badges.badgerequirement {pk}"),
        ("credentials.usercredential", "badges.credlybadge {pk} names credentials.usercredential {pk}"),
    ],
)
def test_half_a_dump_is_refused(dump: PeerDump, tmp_path: Path, model: str, missing: str):
    dump.holder(dump.course_template())
    pk = next(row["pk"] for row in dump.records if row["model"] == model)
    dump.records = [row for row in dump.records if row["model"] != model]
    said = refusal(dump, tmp_path)
    assert missing.format(pk=pk) in said
    assert said.endswith("which is not there")


def test_a_dump_without_users_is_refused(dump: PeerDump, tmp_path: Path):
    dump.holder(dump.course_template())
    dump.records = [row for row in dump.records if row["model"] != "core.user"]
    assert "holds progress or badges, but no core.user" in refusal(dump, tmp_path)


def test_a_dump_of_something_else_is_refused(dump: PeerDump, tmp_path: Path):
    dump.add("auth.group", name="x")
    assert refusal(dump, tmp_path) == "peer.json holds no organization and no Credly template of openedx/credentials"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[1", "peer.json: no JSON: Expecting ',' delimiter, line 1 column 3"),
        ("", "peer.json: no JSON: Expecting value, line 1 column 1"),
        ("7", "peer.json: must be a list of records, as dumpdata writes it"),
        ("[7]", "peer.json: record 1: must have a model and fields, as dumpdata writes them"),
        ('{"model": "x", "fields": {}}\n{"model"', "peer.json:2: no JSON: Expecting ':' delimiter, line 1 column 9"),
        ('[{"pk": ' + "9" * 5000 + "}]", "peer.json: no JSON that dumpdata writes: a number of thousands of digits"),
        ("[" * 100_000, "peer.json: no JSON that dumpdata writes: nested too deeply"),
    ],
)
def test_a_file_that_is_no_dump_is_one_line(tmp_path: Path, content: str, reason: str):
    file = tmp_path / "peer.json"
    file.write_text(content)
    with pytest.raises(PeerError) as error:
        read_dump(str(file), silent)
    assert str(error.value).replace(f"{tmp_path}/", "") == reason


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path: Path):
    with pytest.raises(PeerError, match=r"can't read .*: No such file or directory"):
        read_dump(str(tmp_path / "peer.json"), silent)
    (tmp_path / "peer.json").write_bytes(b"\xff\xfe")
    with pytest.raises(PeerError, match="is no UTF-8 text"):
        read_dump(str(tmp_path / "peer.json"), silent)


@pytest.mark.parametrize(
    "content", ["id,username\n4711,dana\n4712,eli\n", "username\temail\tid\ndana\tx\t4711\neli\tx\t4712\n"]
)
def test_lms_ids_are_read_with_commas_or_tabs(tmp_path: Path, content: str):
    file = tmp_path / "auth_user.csv"
    file.write_text(content)
    assert read_lms_ids(str(file)) == {"dana": 4711, "eli": 4712}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("4711,dana\n", ":1: must name the columns id and username"),
        ("", ":1: must name the columns id and username"),
        ("id,username\n4711,dana\nx,eli\n", ":3: must have a username and a whole number as id"),
        (f"id,username\n{'9' * 30},dana\n", ":2: must have a username and a whole number as id"),
        ("id,username\n4711\n", ":2: must have a username and a whole number as id"),
        ("id,username\n4711,dana\n4712,dana\n", ":3: the username is there twice, with another id"),
    ],
)
def test_wrong_lms_ids_are_one_line_that_names_nobody(tmp_path: Path, content: str, reason: str):
    file = tmp_path / "auth_user.csv"
    file.write_text(content)
    with pytest.raises(PeerError) as error:
        read_lms_ids(str(file))
    assert str(error.value) == f"{file}{reason}"


def test_rows_of_the_peer_do_not_show_keys_and_people(dump: PeerDump, tmp_path: Path):
    dump.holder(dump.course_template(), credly_id=uuid4())
    shown = repr(read_dump(str(dump.write(tmp_path / "peer.json")), silent))
    assert "the-key" in (tmp_path / "peer.json").read_text()
    assert "the-key" not in shown
    assert "dana" not in shown.lower()
