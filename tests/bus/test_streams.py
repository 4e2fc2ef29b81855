from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from pipeline.bus import streams
from pipeline.bus.gap import Gap
from pipeline.bus.positions import gap_between
from pipeline.bus.streams import StreamReader
from tests.bus.conftest import TOPIC

GROUP = "credentials"


@pytest.fixture
def gaps() -> list[Gap]:
    return []


@pytest.fixture
def consumer(bus: Redis, gaps: list[Gap]) -> Iterator:
    """Makes consumers that find, or create, the group."""
    with ExitStack() as readers:

        def start(name: str = "one", **options) -> StreamReader:
            reader = StreamReader(TOPIC, GROUP, name, on_gap=gaps.append, **options)
            readers.callback(reader._client.close)
            reader.ensure_group()
            return reader

        yield start


def add(bus: Redis, stream: str, count: int) -> list[bytes]:
    return [bus.xadd(stream, {"n": number}) for number in range(count)]


def read(reader: StreamReader, count: int = 500) -> list[bytes]:
    return [entry_id for entry_id, _ in reader.read(count, block_ms=1)]


def read_all(reader: StreamReader, count: int = 500) -> list[bytes]:
    """Read and acknowledge until there is nothing more."""
    seen: list[bytes] = []
    while ids := read(reader, count):
        reader.acknowledge(ids)
        seen += ids
    return seen


def pending(bus: Redis, stream: str) -> int:
    return bus.xpending(stream, GROUP)["pending"]


def test_events_published_before_the_first_consumer_are_read(bus, stream, consumer):
    ids = add(bus, stream, 3)
    reader = consumer()
    entries = reader.read(block_ms=1)
    assert entries == [(entry_id, {b"n": b"%d" % number}) for number, entry_id in enumerate(ids)]


def test_a_group_that_exists_keeps_its_position(bus, stream, consumer):
    first = add(bus, stream, 2)
    assert read_all(consumer()) == first
    later = add(bus, stream, 2)
    assert read(consumer("two")) == later


def test_consumers_of_one_group_share_the_entries(bus, stream, consumer):
    ids = add(bus, stream, 4)
    one, two = consumer("one"), consumer("two")
    assert [read(one, 2), read(two, 2)] == [ids[:2], ids[2:]]


def test_a_read_waits_for_news(bus, stream, consumer):
    reader = consumer()
    seen: list[list[bytes]] = []
    waiting = Thread(target=lambda: seen.append([entry_id for entry_id, _ in reader.read(block_ms=5_000)]))
    waiting.start()
    wait_until_blocked(bus)
    ids = add(bus, stream, 1)
    waiting.join(10)
    assert seen == [ids]


def test_a_restarted_consumer_first_reads_what_it_held(bus, stream, consumer):
    ids = add(bus, stream, 5)
    assert read(consumer(), 3) == ids[:3]
    restarted = consumer()
    assert [read(restarted, 2), read(restarted, 2), read(restarted, 2)] == [ids[:2], ids[2:3], ids[3:]]


def test_acknowledged_entries_never_come_again(bus, stream, consumer):
    ids = add(bus, stream, 3)
    reader = consumer()
    reader.acknowledge(read(reader)[:2])
    assert read_all(consumer()) == ids[2:]
    assert pending(bus, stream) == 0


def test_acknowledging_nothing_or_twice_does_no_harm(bus, stream, consumer):
    add(bus, stream, 1)
    reader = consumer()
    ids = read(reader)
    for batch in (ids, ids, []):
        reader.acknowledge(batch)
    assert pending(bus, stream) == 0


def test_what_a_dead_consumer_held_is_claimed_under_another_name(bus, stream, consumer):
    ids = add(bus, stream, 3)
    assert read(consumer("dead")) == ids
    assert read_all(consumer("alive", claim_idle_ms=0), count=2) == ids
    assert pending(bus, stream) == 0


def test_claiming_goes_on_while_a_consumer_runs(bus, stream, consumer, monkeypatch):
    monkeypatch.setattr(streams, "CLAIM_INTERVAL_SECONDS", 0.0)
    alive = consumer("alive", claim_idle_ms=0)
    for _ in range(2):
        ids = add(bus, stream, 1)
        assert read(consumer("dead")) == ids
        assert read_all(alive) == ids


def test_claiming_does_not_happen_at_every_read(bus, stream, consumer):
    alive = consumer("alive", claim_idle_ms=0)
    assert read(alive) == []
    ids = add(bus, stream, 1)
    assert read(consumer("dead")) == ids
    assert read(alive) == []
    assert bus.xpending(stream, GROUP)["consumers"] == [{"name": b"dead", "pending": 1}]


def test_entries_just_read_are_not_claimed(bus, stream, consumer):
    ids = add(bus, stream, 1)
    assert read(consumer("busy")) == ids
    assert read(consumer("other")) == []


def test_what_a_caller_failed_to_acknowledge_does_not_come_again_at_once(bus, stream, consumer):
    ids = add(bus, stream, 2)
    reader = consumer()
    assert read(reader) == ids
    assert read(reader) == []


def test_a_lost_answer_is_read_again(bus, stream, consumer):
    reader = consumer()
    ids = add(bus, stream, 1)
    assert read(reader) == ids
    failures: list[Exception] = []

    def wait_for_news() -> None:
        try:
            reader.read(block_ms=5_000)
        except RedisConnectionError as error:
            failures.append(error)

    waiting = Thread(target=wait_for_news)
    waiting.start()
    wait_until_blocked(bus)
    bus.client_kill_filter(_type="normal", skipme=True)
    waiting.join(10)
    assert len(failures) == 1
    assert read(reader) == ids


def test_a_deleted_stream_is_read_anew_from_its_beginning(bus, stream, consumer):
    add(bus, stream, 1)
    reader = consumer()
    read_all(reader)
    bus.delete(stream)
    ids = add(bus, stream, 2)
    assert read(reader) == []
    assert read(reader) == ids


def test_a_stream_deleted_while_a_read_waits_is_no_failure(bus, stream, consumer):
    reader = consumer()
    seen: list[list] = []
    waiting = Thread(target=lambda: seen.append(reader.read(block_ms=5_000)))
    waiting.start()
    wait_until_blocked(bus)
    bus.delete(stream)
    ids = add(bus, stream, 1)
    waiting.join(10)
    assert [entry_id for entry_id, _ in seen[0]] in ([], ids)
    assert read_all(consumer()) == ids


@pytest.mark.parametrize("name", ["one", "two"], ids=["held", "claimed"])
def test_entries_deleted_before_they_were_acknowledged_are_reported_and_done_with(bus, stream, consumer, gaps, name):
    ids = add(bus, stream, 4)
    assert read(consumer("one")) == ids
    bus.xdel(stream, *ids[:2])
    assert read_all(consumer(name, claim_idle_ms=0)) == ids[2:]
    assert gaps == [gap_between(stream, GROUP, ids[0], ids[1], 2)]
    assert pending(bus, stream) == 0


def test_held_entries_that_are_all_deleted_do_not_hide_the_others(bus, stream, consumer):
    ids = add(bus, stream, 5)
    assert read(consumer()) == ids
    bus.xdel(stream, *ids[:3])
    assert read_all(consumer(), count=2) == ids[3:]


def test_a_start_after_unread_entries_were_trimmed_reports_the_gap(bus, stream, consumer, gaps):
    read_ids = add(bus, stream, 2)
    read_all(consumer())
    unread_ids = add(bus, stream, 6)
    bus.xtrim(stream, maxlen=2, approximate=False)
    assert gaps == []
    assert read(consumer("two")) == unread_ids[4:]
    [gap] = gaps
    assert (gap.since, gap.until) == (read_ids[-1].decode(), unread_ids[4].decode())
    assert gap.count in (4, None)


def test_a_reader_that_trimming_overtakes_reports_the_gap(bus, stream, consumer, gaps):
    ids = add(bus, stream, 10)
    reader = consumer()
    assert read(reader, 2) == ids[:2]
    bus.xtrim(stream, maxlen=3, approximate=False)
    reader.acknowledge(ids[:2])
    assert read(reader, 2) == ids[7:9]
    assert [gap.until for gap in gaps] == [ids[7].decode()]


def test_seeking_moves_the_whole_group(bus, stream, consumer):
    ids = add(bus, stream, 4)
    reader, other = consumer(), consumer("other")
    reader.seek(ids[1].decode())
    assert read(other) == ids[2:]


@pytest.mark.parametrize("before_all", ["0", "1000-0"])
def test_seeking_before_the_first_entry_is_no_gap(bus, stream, consumer, gaps, before_all):
    ids = add(bus, stream, 4)
    reader = consumer()
    reader.seek(before_all)
    assert read(reader) == ids
    assert gaps == []


def test_a_consumer_that_holds_nothing_leaves_the_group(bus, stream, consumer):
    add(bus, stream, 1)
    reader = consumer("leaving")
    read_all(reader)
    reader.close()
    assert bus.xinfo_consumers(stream, GROUP) == []


def test_a_consumer_that_holds_entries_stays_so_that_they_can_be_claimed(bus, stream, consumer):
    ids = add(bus, stream, 1)
    reader = consumer("leaving")
    assert read(reader) == ids
    reader.close()
    assert read(consumer("next", claim_idle_ms=0)) == ids


def test_leaving_a_bus_that_is_gone_is_no_error(consumer, bus, stream):
    reader = consumer()
    bus.delete(stream)
    reader.close()


def wait_until_blocked(bus: Redis) -> None:
    while bus.info("clients")["blocked_clients"] == 0:
        pass
