"""Reading ahead: the next entries are on their way, and none is lost or passed by whatever happens meanwhile."""

from collections.abc import Iterator
from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection
from redis import Redis
from redis.exceptions import RedisError

from pipeline.bus.ahead import ReadAhead
from pipeline.bus.streams import StreamReader
from pipeline.models import Event
from pipeline.stages.consume import InboxConsumer
from tests.bus.conftest import TOPIC
from tests.bus.examples import fields
from tests.system.conditions import eventually

GROUP = "credentials"


@pytest.fixture
def reader(bus: Redis) -> Iterator[StreamReader]:
    reader = StreamReader(TOPIC, GROUP, "one")
    reader.ensure_group()
    yield reader
    reader.close()


def held(bus: Redis, stream: str) -> int:
    return int(bus.xpending(stream, GROUP)["pending"])


def test_entries_come_in_their_order_each_once_and_the_next_are_already_on_their_way(bus, stream, reader):
    ids = [bus.xadd(stream, {"n": number}) for number in range(6)]
    came = []
    with ReadAhead(reader) as ahead:
        for number in range(1, 4):
            came += [entry_id for entry_id, _ in ahead.read(2)]
            eventually(lambda number=number: held(bus, stream) == min(6, 2 * (number + 1)))
    assert came == ids


def test_the_rest_is_what_was_read_ahead_and_comes_once(bus, stream, reader):
    ids = [bus.xadd(stream, {"n": number}) for number in range(6)]
    with ReadAhead(reader) as ahead:
        assert ahead.rest() == []
        assert [entry_id for entry_id, _ in ahead.read(2)] == ids[:2]
        assert [entry_id for entry_id, _ in ahead.rest()] == ids[2:4]
        assert ahead.rest() == []
    assert held(bus, stream) == 4


def test_after_an_error_everything_that_was_not_acknowledged_comes_again(bus, stream, reader):
    ids = [bus.xadd(stream, {"n": number}) for number in range(4)]
    came: list[bytes] = []
    with ReadAhead(reader) as ahead:
        for _ in range(2):
            came += [entry_id for entry_id, _ in ahead.read(2)]
        eventually(
            lambda: any(client["cmd"] == "xreadgroup" and client["flags"] == "b" for client in bus.client_list())
        )
        bus.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(RedisError):
            ahead.read(2)
        while len(came) < 8:
            came += [entry_id for entry_id, _ in ahead.read(2)]
    assert came == [*ids, *ids]
    assert held(bus, stream) == 4


@pytest.mark.django_db(transaction=True)
def test_a_consumer_that_is_told_to_stop_stores_what_it_has_read_ahead(bus, stream, monkeypatch):
    monkeypatch.setattr("pipeline.stages.consume.BATCH", 2)
    for _ in range(6):
        bus.xadd(stream, fields(id=str(uuid4()).encode()))
    consumer = InboxConsumer(TOPIC, GROUP, "one")
    reader = StreamReader(TOPIC, GROUP, "one")
    reader.ensure_group()
    take = consumer._take

    def take_and_stop(*arguments: object) -> None:
        take(*arguments)
        consumer.stop()

    monkeypatch.setattr(consumer, "_take", take_and_stop)

    def run() -> None:
        consumer._consume_reading_ahead(reader)
        connection.close()

    running = Thread(target=run)
    running.start()
    running.join(30)
    assert not running.is_alive()
    assert Event.objects.count() == 4
    assert held(bus, stream) == 0
    reader.close()
