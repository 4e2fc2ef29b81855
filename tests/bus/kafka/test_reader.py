"""Reading a topic as one of a group: where it begins, what it gives out again, and what it tells of what is gone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from pipeline.bus.kafka import reader as module
from pipeline.bus.kafka.gap import Gap
from pipeline.bus.kafka.reader import TopicReader
from tests.bus.kafka.cluster import PARTITIONS, REAL_BOOTSTRAP, Kafka
from tests.bus.kafka.conftest import TOPIC
from tests.system.conditions import eventually

KILOBYTE = b"x" * 1_000
MORE_THAN_IS_KEPT = 9_000
"""Messages of a kilobyte; the mock keeps about 5 MB of a partition."""

mock_only = pytest.mark.skipif(bool(REAL_BOOTSTRAP), reason="a real cluster removes what is old when it likes")


class Group:
    """Readers of one group, what was told about it, and what they read."""

    def __init__(self) -> None:
        self.name = f"group-{uuid4()}"
        self.gaps: list[Gap] = []
        self.remembered: list[bool] = []
        self._readers: list[TopicReader] = []

    def reader(self, **options: Any) -> TopicReader:
        tellings: dict[str, Any] = {"on_gap": self.gaps.append, "on_placed": self.remembered.append}
        reader = TopicReader(TOPIC, self.name, **(tellings | options))
        self._readers.append(reader)
        return reader

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


@pytest.fixture
def group() -> Iterator[Group]:
    group = Group()
    yield group
    group.close()


def read(reader: TopicReader, number: int, *, acknowledge: bool = True) -> list[str]:
    """The positions of so many messages, or more if they come together."""
    positions: list[str] = []

    def enough() -> bool:
        entries = reader.read()
        positions.extend(entry_id.decode() for entry_id, _ in entries)
        if acknowledge:
            reader.acknowledge([entry_id for entry_id, _ in entries])
        return len(positions) >= number

    eventually(enough, 60)
    return positions


def test_a_new_group_begins_with_the_oldest_message(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 3)
    reader = group.reader()
    assert read(reader, 3) == ["0-0", "0-1", "0-2"]
    assert group.remembered == [False]
    assert kafka.committed(topic, group.name) == [3, 0, 0, 0]


def test_what_was_not_acknowledged_is_given_out_again_and_what_was_is_not(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 3)
    reader = group.reader()
    assert read(reader, 3, acknowledge=False) == ["0-0", "0-1", "0-2"]
    assert read(reader, 3) == ["0-0", "0-1", "0-2"]
    kafka.produce(topic, ({}, b"1"))
    assert read(reader, 1) == ["0-3"]


def test_a_successor_goes_on_where_the_committed_offset_is(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 2)
    first = group.reader()
    read(first, 2)
    kafka.produce(topic, ({}, b"1"))
    assert read(first, 1, acknowledge=False) == ["0-2"]
    first.close()

    assert read(group.reader(), 1) == ["0-2"]
    assert group.remembered[-1]


def test_two_readers_share_the_partitions_and_one_takes_over_from_the_other(kafka: Kafka, topic: str, group: Group):
    def produce() -> None:
        for partition in range(PARTITIONS):
            kafka.produce(topic, *[({}, b"1")] * 5, partition=partition)

    produce()
    first, second = group.reader(), group.reader()
    seen: dict[TopicReader, set[str]] = {first: set(), second: set()}

    def all_is_read(number: int, *readers: TopicReader) -> None:
        def look() -> bool:
            for reader in readers:
                entries = reader.read()
                seen[reader] |= {entry_id.decode() for entry_id, _ in entries}
                reader.acknowledge([entry_id for entry_id, _ in entries])
            return sum(kafka.committed(topic, group.name)) == number

        eventually(look)

    eventually(lambda: [reader.read() for reader in (first, second)] and first._assigned and second._assigned)
    all_is_read(5 * PARTITIONS, first, second)
    assert len(first._assigned) == len(second._assigned) == PARTITIONS / 2
    first.read()
    first.close()
    produce()
    all_is_read(10 * PARTITIONS, second)
    assert len(seen[first] | seen[second]) == 10 * PARTITIONS
    assert group.gaps == []


def test_what_a_reader_held_when_its_partitions_went_to_another_is_read_by_that_one(
    kafka: Kafka, topic: str, group: Group
):
    for partition in range(PARTITIONS):
        kafka.produce(topic, ({}, b"1"), partition=partition)
    first = group.reader()
    everything = {f"{partition}-0" for partition in range(PARTITIONS)}
    held = set(read(first, PARTITIONS, acknowledge=False))
    second = group.reader()
    # The first one reads on, as it must to stay a member, and never acknowledges.
    eventually(lambda: [reader.read() for reader in (first, second)] and second._assigned)
    first.close()
    read_again: set[str] = set()
    eventually(lambda: read_again.update(read(second, 1)) or read_again == everything)
    assert held == everything


@mock_only
def test_messages_that_are_gone_are_told_with_their_number_and_gone_past(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 2)
    first = group.reader()
    read(first, 2)
    first.close()
    kafka.produce(topic, *[({}, KILOBYTE)] * MORE_THAN_IS_KEPT)
    oldest, _ = kafka.bounds(topic)

    began = datetime.now(UTC)
    assert read(group.reader(), 1)[0] == f"0-{oldest}"
    [gap] = group.gaps
    assert (gap.since, gap.until, gap.count) == ("0-1", f"0-{oldest}", oldest - 2)
    assert gap.last_time
    assert began - timedelta(minutes=2) < gap.last_time < datetime.now(UTC)


@mock_only
def test_a_gap_that_could_not_be_told_is_told_again_before_anything_after_it_is_read(
    kafka: Kafka, topic: str, group: Group
):
    kafka.produce(topic, ({}, b"1"))
    first = group.reader()
    read(first, 1)
    first.close()
    kafka.produce(topic, *[({}, KILOBYTE)] * MORE_THAN_IS_KEPT)

    def database_is_down(gap: Gap) -> None:
        group.gaps.append(gap)
        if len(group.gaps) < 3:
            raise OSError("simulated")

    reader = group.reader(on_gap=database_is_down)

    def first_entry() -> bytes | None:
        try:
            entries = reader.read()
        except OSError:
            return None
        return entries[0][0] if entries else None

    oldest, _ = kafka.bounds(topic)
    assert eventually(first_entry) == f"0-{oldest}".encode()
    assert group.gaps == [group.gaps[0]] * 3


@mock_only
def test_a_reader_that_retention_overtakes_tells_the_gap(
    kafka: Kafka, topic: str, group: Group, monkeypatch: pytest.MonkeyPatch
):
    configuration = module.configuration
    monkeypatch.setattr(module, "configuration", lambda **more: configuration(queued_max_messages_kbytes=1, **more))
    kafka.produce(topic, ({}, b"1"))
    reader = group.reader()
    read(reader, 1)
    kafka.produce(topic, *[({}, KILOBYTE)] * MORE_THAN_IS_KEPT)
    positions: list[str] = []
    eventually(lambda: positions.extend(read(reader, 1)) or positions[-1] == f"0-{MORE_THAN_IS_KEPT}")

    [gap] = group.gaps
    offsets = [int(position.partition("-")[2]) for position in positions]
    assert gap.count
    assert len(offsets) + gap.count == MORE_THAN_IS_KEPT
    assert gap.since == f"0-{next(a for a, b in zip([0, *offsets], offsets, strict=False) if b != a + 1)}"


def test_a_topic_that_was_made_anew_is_a_gap_of_unknown_size(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 2)
    kafka.commit(topic, group.name, {0: 1_000, 1: 0, 2: 0, 3: 0})
    assert read(group.reader(), 2) == ["0-0", "0-1"]
    assert [(gap.since, gap.until, gap.count) for gap in group.gaps] == [("0-999", "0-0", None)]


def test_a_group_that_was_set_back_reads_again_and_tells_no_gap(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 3)
    first = group.reader()
    read(first, 3)
    first.close()
    kafka.commit(topic, group.name, {0: 1})
    assert read(group.reader(), 2) == ["0-1", "0-2"]
    assert group.gaps == []


@pytest.mark.skipif(not REAL_BOOTSTRAP, reason="the mock cluster knows no offsets for times")
def test_a_group_goes_on_with_the_messages_of_a_time(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 2)
    first = group.reader()
    read(first, 2)
    first.close()
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert read(group.reader(since=hour_ago), 2) == ["0-0", "0-1"]


def test_a_topic_that_comes_later_is_read_from_its_beginning(
    kafka: Kafka, settings: Any, group: Group, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.bus.kafka.connection.METADATA_SECONDS", 1)
    settings.EVENT_BUS_TOPIC_PREFIX = f"later-{uuid4()}"
    reader = group.reader()
    assert reader.read() == []
    kafka.create(reader.stream)
    kafka.produce(reader.stream, ({}, b"1"))
    assert read(reader, 1) == ["0-0"]
