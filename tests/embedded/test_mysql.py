from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.embedded.mysql import DATABASE, USER, MySqlNotFound, MySqlServer, executable

MySQLdb = pytest.importorskip("MySQLdb", reason="mysqlclient is not installed (requirements-mysql.txt)")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySqlServer]:
    try:
        executable()
    except MySqlNotFound as missing:
        pytest.skip(str(missing))
    with MySqlServer(tmp_path_factory.mktemp("mysql") / "with a space", "--innodb-lock-wait-timeout=7") as running:
        yield running


def connect(server: MySqlServer, *, autocommit: bool = False):
    return MySQLdb.connect(host="127.0.0.1", port=server.port, user=USER, database=DATABASE, autocommit=autocommit)


def ask(server: MySqlServer, statement: str):
    connection = connect(server, autocommit=True)
    cursor = connection.cursor()
    cursor.execute(statement)
    rows = cursor.fetchall()
    connection.close()
    return rows


def test_the_server_takes_connections_and_obeys_its_options(server):
    assert ask(server, "SELECT @@innodb_lock_wait_timeout, @@bind_address") == ((7, "127.0.0.1"),)


@pytest.mark.parametrize("end", [MySqlServer.kill, MySqlServer.stop])
def test_what_was_committed_outlives_the_end_of_the_server_and_what_was_not_does_not(server, end):
    ask(server, "CREATE TABLE kept (number int)")
    open_transaction = connect(server)
    open_transaction.cursor().execute("INSERT INTO kept VALUES (1)")
    end(server)
    with pytest.raises(MySQLdb.OperationalError):
        open_transaction.commit()
    with pytest.raises(MySQLdb.OperationalError):
        connect(server)
    server.start()
    assert ask(server, "SELECT COUNT(*) FROM kept") == ((0,),)
    ask(server, "DROP TABLE kept")


def test_a_server_that_is_killed_leaves_no_process(server):
    server.kill()
    stat = Path(f"/proc/{server.pid}/stat")
    assert not stat.exists() or ") Z" in stat.read_text()
    server.start()


def test_stopping_twice_is_harmless(server, tmp_path):
    another = MySqlServer(tmp_path / "mysql")
    another.start()
    another.stop()
    another.stop()


def test_a_server_that_does_not_start_says_why(server, tmp_path):
    with pytest.raises(RuntimeError, match="no-such-setting"):
        MySqlServer(tmp_path / "mysql", "--no-such-setting=1").start()


def test_without_any_server_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MYSQL_SERVER", raising=False)
    monkeypatch.setattr("pipeline.embedded.mysql.PACKAGED", tmp_path)
    with pytest.raises(MySqlNotFound, match="set MYSQL_SERVER"):
        executable()
