from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pipeline.embedded.postgres import PostgresNotFound, PostgresServer, programs


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres") / "with a space", "-c", "lock_timeout=7s") as running:
        yield running


def test_the_server_takes_connections_and_obeys_its_options(server):
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW lock_timeout").fetchone() == ("7s",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)


@pytest.mark.parametrize("end", [PostgresServer.kill, PostgresServer.stop])
def test_what_was_committed_outlives_the_end_of_the_server_and_what_was_not_does_not(server, end):
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number int)")
    open_transaction = psycopg.connect(server.url)
    open_transaction.execute("INSERT INTO kept VALUES (1)")
    end(server)
    with pytest.raises(psycopg.OperationalError):
        open_transaction.commit()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url)
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        assert connection.execute("SELECT COUNT(*) FROM kept").fetchone() == (0,)
        connection.execute("DROP TABLE kept")


def test_a_server_that_is_killed_leaves_no_process(server):
    with psycopg.connect(server.url) as connection:
        backend = connection.info.backend_pid
        assert _runs(backend)
        server.kill()
    assert not _runs(backend)
    assert not _runs(server.pid)
    server.start()


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and ") Z" not in stat.read_text()


def test_stopping_twice_is_harmless(tmp_path):
    server = PostgresServer(tmp_path / "postgres")
    server.start()
    server.stop()
    server.stop()


def test_a_server_that_does_not_start_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="no_such_setting"):
        PostgresServer(tmp_path / "postgres", "-c", "no_such_setting=1").start()


def test_without_any_server_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("POSTGRES_BIN", raising=False)
    monkeypatch.setattr("pipeline.embedded.postgres.PACKAGED", tmp_path)
    monkeypatch.setattr("pipeline.embedded.postgres.WHEEL", "no_such_wheel")
    with pytest.raises(PostgresNotFound, match="set POSTGRES_BIN"):
        programs()
