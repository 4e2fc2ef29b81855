"""MySQL and MariaDB take no statement above `max_allowed_packet`, and hang up on whoever sends one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import DataError, OperationalError, connection, connections
from pytest_django import DjangoDbBlocker

from pipeline.bus.codec import UndecodableMessage
from pipeline.embedded.mysql import DATABASE, USER, MySqlServer
from pipeline.ledgers import inbox
from pipeline.models import Event
from tests.databases import of_run
from tests.ledgers.builders import TOPIC, lms_learner, message, passes

pytestmark = pytest.mark.skipif(of_run() != "mysql", reason="is about MySQL: make test DB=mysql")

MOST = 2**20
DANA = lms_learner()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySqlServer]:
    with MySqlServer(tmp_path_factory.mktemp("mysql"), f"--max-allowed-packet={MOST}") as running:
        yield running


@contextmanager
def default(server: MySqlServer) -> Iterator[None]:
    """The default database is one on this server."""
    real = connections["default"]
    there = {"PORT": server.port, "USER": USER, "NAME": DATABASE}
    connections["default"] = type(real)({**real.settings_dict, **there}, "default")
    with closing(connections["default"]):
        yield
    connections["default"] = real


@pytest.fixture(scope="module")
def tables(server: MySqlServer, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock(), default(server), connection.schema_editor() as editor:
        for model in apps.get_app_config("pipeline").get_models():
            editor.create_model(model)


@pytest.fixture(autouse=True)
def small_packets(server: MySqlServer, tables: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), default(server):
        yield


def large(size: int, **changes: Any) -> Any:
    """A message whose payload has about as many bytes."""
    usual = message(passes(DANA, 2))
    return replace(usual, payload={**usual.payload, "essay": "e" * size}, **changes)


def row(of: Any) -> Event:
    return Event.objects.get(pk=of.id)


def test_an_event_that_is_too_large_for_a_packet_is_failed_with_the_reason_and_its_neighbours_go_on():
    before, refused, after = message(passes(DANA, 1)), large(MOST), message(passes(DANA, 3))
    assert sorted(inbox.store([before, refused, after], TOPIC)) == sorted([before.id, after.id])
    failed = row(refused)
    assert (failed.status, failed.payload, failed.position) == ("failed", {}, refused.position)
    assert f"max_allowed_packet is {MOST:,}" in failed.error
    assert inbox.store([refused], TOPIC) == []


def test_a_message_that_is_too_large_and_cannot_be_read_is_failed_with_the_reason():
    unreadable = UndecodableMessage(id=uuid4(), type="", position="9-0", raw=b"r" * MOST, reason="It can't be read.")
    assert inbox.store([unreadable], TOPIC) == []
    assert "max_allowed_packet" in row(unreadable).error


def test_events_that_are_too_large_only_together_are_all_stored():
    messages = [large(MOST // 3) for _ in range(10)]
    assert sorted(inbox.store(messages, TOPIC)) == sorted(one.id for one in messages)
    assert {row(one).payload["essay"] for one in messages} == {"e" * (MOST // 3)}


def statement_of(length: int) -> str:
    start = "SELECT LENGTH('"
    return f"{start}{'x' * (length - len(start) - 2)}')"


def ask(length: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement_of(length))


def test_the_longest_statement_that_the_server_takes_is_sent_and_a_longer_one_leaves_the_connection_as_it_is():
    longest = MOST - 2
    ask(longest)
    with pytest.raises(DataError, match="max_allowed_packet"):
        ask(longest + 1)
    ask(10)


def test_without_looking_at_its_length_the_server_would_seem_to_be_away():
    connection.ensure_connection()
    connection.connection.longest = MOST * 2
    with pytest.raises(OperationalError):
        ask(MOST)
    with pytest.raises(OperationalError):
        ask(10)
