"""Reading a topic as one of a group: where it begins, what it gives out again, and what it tells of what is gone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import OFFSET_STORED, KafkaException, TopicPartition

from pipeline.bus.gap import Gap
from pipeline.bus.kafka import reader as module
from pipeline.bus.kafka.reader import TopicReader
from tests.bus.kafka.cluster import PARTITIONS, REAL_BOOTSTRAP, Kafka
from tests.bus.kafka.conftest import TOPIC
from tests.system.conditions import eventually

EVERY_PARTITION = {f"{partition}-0" for partition in range(PARTITIONS)}
"""The first message of each."""


class Group:
    """Readers of one group, what was told about it, and what they read."""

    def __init__(self) -> None:
        self.name = f"group-{uuid4()}"
        self.gaps: list[Gap] = []
        self.is_known = False
        self.forgotten = 0
        self._readers: list[TopicReader] = []

    def reader(self, **options: Any) -> TopicReader:
        tellings: dict[str, Any] = {
            "on_gap": self.gaps.append,
            "is_known": lambda: self.is_known,
            "on_forgotten": self._forget,
            "on_begun": self.begin,
        }
        reader = TopicReader(TOPIC, self.name, **(tellings | options))
        self._readers.append(reader)
        return reader

    def begin(self) -> None:
        self.is_known = True

    def _forget(self) -> None:
        self.forgotten += 1

    def __len__(self) -> int:
        return len(self._readers)

    def close_last(self) -> None:
        self._readers.pop().close()

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


@pytest.fixture
def group() -> Iterator[Group]:
    group = Group()
    yield group
    group.close()


def read(reader: TopicReader, number: int) -> list[str]:
    """The positions of so many messages, or more if they come together, which are acknowledged."""
    positions: dict[str, None] = {}

    def enough() -> bool:
        entries = reader.read()
        reader.acknowledge([entry_id for entry_id, _ in entries])
        positions.update((entry_id.decode(), None) for entry_id, _ in entries)
        return len(positions) >= number

    eventually(enough)
    return list(positions)


def hold(reader: TopicReader, wanted: set[str]) -> set[str]:
    """Have all of these given out, which nobody acknowledges."""
    held: set[str] = set()
    eventually(lambda: held.update(entry_id.decode() for entry_id, _ in reader.read()) or wanted <= held)
    return held


def assigned(*readers: TopicReader) -> None:
    """Wait until each has partitions, reading on as it must to stay a member, and acknowledging nothing."""
    eventually(lambda: [reader.read() for reader in readers] and all(reader._assigned for reader in readers))


def with_settings(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    """Readers that are made from now on have these settings of librdkafka over their own."""
    configuration = module.configuration
    monkeypatch.setattr(module, "configuration", lambda **more: configuration(**(more | settings)))


def begin_where_kafka_says(monkeypatch: pytest.MonkeyPatch, *, reset: str) -> None:
    """Off: the reader's own look at where to begin.  What Kafka does not know it leaves to `auto.offset.reset`."""

    def begin(reader: TopicReader) -> None:
        stored = [TopicPartition(reader.stream, partition, OFFSET_STORED) for partition in reader._unplaced]
        reader._client.assign(stored)
        reader._unplaced = []

    with_settings(monkeypatch, auto_offset_reset=reset)
    monkeypatch.setattr(TopicReader, "_place", begin)


def test_a_new_group_begins_with_the_oldest_message(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 3)
    reader = group.reader()
    assert read(reader, 3) == ["0-0", "0-1", "0-2"]
    assert (group.is_known, group.forgotten) == (True, 0)
    assert kafka.committed(topic, group.name) == [3, 0, 0, 0]


def test_a_group_that_kafka_forgot_is_told_and_begins_with_the_oldest_message(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, ({}, b"1"))
    group.begin()
    assert read(group.reader(), 1) == ["0-0"]
    assert group.forgotten == 1


def test_a_group_that_another_reader_begins_meanwhile_was_not_forgotten(
    kafka: Kafka, topic: str, group: Group, monkeypatch: pytest.MonkeyPatch
):
    committed = module.positions.committed

    def another_begins(*arguments: Any) -> Any:
        found = committed(*arguments)
        group.begin()
        return found

    monkeypatch.setattr(module.positions, "committed", another_begins)
    kafka.produce(topic, ({}, b"1"))
    assert read(group.reader(), 1) == ["0-0"]
    assert group.forgotten == 0


def test_control_a_new_group_that_begins_where_kafka_says_misses_what_is_there(
    kafka: Kafka, topic: str, group: Group, monkeypatch: pytest.MonkeyPatch
):
    begin_where_kafka_says(monkeypatch, reset="latest")
    kafka.produce(topic, *[({}, b"1")] * 3)
    reader = group.reader()
    seen: set[str] = set()

    def later_ones_come() -> bool:
        kafka.produce(topic, ({}, b"later"))
        seen.update(entry_id.decode() for entry_id, _ in reader.read())
        return bool(seen)

    eventually(later_ones_come)
    assert not seen & {"0-0", "0-1", "0-2"}


def test_what_was_not_acknowledged_is_given_out_again_and_what_was_is_not(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 3)
    reader = group.reader()
    hold(reader, {"0-0", "0-1", "0-2"})
    assert read(reader, 3) == ["0-0", "0-1", "0-2"]
    kafka.produce(topic, ({}, b"1"))
    assert read(reader, 1) == ["0-3"]


def test_control_a_reader_that_does_not_go_back_loses_what_was_not_acknowledged(
    kafka: Kafka, topic: str, group: Group, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(TopicReader, "_start_over", lambda _: None)
    kafka.produce(topic, *[({}, b"1")] * 3)
    reader = group.reader()
    hold(reader, {"0-0", "0-1", "0-2"})
    kafka.produce(topic, ({}, b"1"))
    assert read(reader, 1) == ["0-3"]
    assert kafka.committed(topic, group.name)[0] == 4


def test_a_successor_goes_on_where_the_committed_offset_is(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, *[({}, b"1")] * 2)
    first = group.reader()
    read(first, 2)
    kafka.produce(topic, ({}, b"1"))
    hold(first, {"0-2"})
    first.close()

    assert read(group.reader(), 1) == ["0-2"]
    assert group.forgotten == 0


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

    assigned(first, second)
    all_is_read(5 * PARTITIONS, first, second)
    eventually(
        lambda: (
            [reader.read() for reader in (first, second)]
            and len(first._assigned) == len(second._assigned) == PARTITIONS / 2
        )
    )
    first.close()
    produce()
    all_is_read(10 * PARTITIONS, second)
    assert len(seen[first] | seen[second]) == 10 * PARTITIONS
    assert group.gaps == []


@pytest.mark.skipif(bool(REAL_BOOTSTRAP), reason="a real cluster takes commits for a while longer")
def test_a_reader_whose_group_grows_while_it_finds_out_where_to_begin_reads_on(kafka: Kafka, topic: str, group: Group):
    kafka.produce(topic, ({}, b"1"))

    def no_commit_is_taken() -> bool:
        try:
            first._client.commit(offsets=[TopicPartition(topic, 3, 0)], asynchronous=False)
        except KafkaException:
            return True
        return False

    def another_joins() -> bool:
        if len(group) == 1:
            group.reader()
            eventually(no_commit_is_taken)
        return False

    first = group.reader(is_known=another_joins)
    eventually(lambda: first.read() == [] and len(group) == 2)
    group.close_last()
    assert read(first, 1) == ["0-0"]


def test_what_a_reader_held_when_its_partitions_went_to_another_is_read_by_that_one(
    kafka: Kafka, topic: str, group: Group
):
    for partition in range(PARTITIONS):
        kafka.produce(topic, ({}, b"1"), partition=partition)
    first = group.reader()
    hold(first, EVERY_PARTITION)
    second = group.reader()
    assigned(first, second)
    first.close()
    assert set(read(second, PARTITIONS)) == EVERY_PARTITION


def test_control_what_a_reader_that_commits_by_itself_held_is_lost_with_its_partitions(
    kafka: Kafka, topic: str, group: Group, monkeypatch: pytest.MonkeyPatch
):
    with_settings(monkeypatch, enable_auto_commit=True, auto_commit_interval_ms=100)
    kafka.produce(topic, *[({}, b"1")] * 3)
    first = group.reader()
    hold(first, {"0-0", "0-1", "0-2"})
    eventually(lambda: kafka.committed(topic, group.name)[0] == 3)
    first.close()
    kafka.produce(topic, ({}, b"1"))
    assert read(group.reader(), 1) == ["0-3"]


def test_a_reader_that_hangs_gives_its_partitions_to_another(kafka: Kafka, topic: str, group: Group):
    """Its threads still say that it lives.  The mock waits for its session, a real broker for `HANG_MS`."""
    kafka.produce(topic, ({}, b"1"))
    hanging = group.reader()
    hold(hanging, {"0-0"})
    assert read(group.reader(), 1) == ["0-0"]


def removed_while_nobody_read(kafka: Kafka, topic: str, group: Group) -> None:
    """A group has read two messages, and the next six of ten are gone."""
    kafka.produce(topic, *[({}, b"1")] * 2)
    first = group.reader()
    read(first, 2)
    first.close()
    kafka.produce(topic, *[({}, b"1")] * 8)
    kafka.delete(topic, before=8)


def test_messages_that_are_gone_are_told_with_their_number_and_gone_past(kafka: Kafka, topic: str, group: Group):
    began = datetime.now(UTC)
    removed_while_nobody_read(kafka, topic, group)
    assert read(group.reader(), 2) == ["0-8", "0-9"]
    [gap] = group.gaps
    assert (gap.since, gap.until, gap.count) == ("0-1", "0-8", 6)
    assert gap.last_time
    assert began - timedelta(minutes=2) < gap.last_time < datetime.now(UTC)


def test_control_of_messages_that_are_gone_a_reader_that_begins_where_kafka_says_tells_nothing(
    kafka: Kafka, topic: str, group: Group, monkeypatch: pytest.MonkeyPatch
):
    removed_while_nobody_read(kafka, topic, group)
    begin_where_kafka_says(monkeypatch, reset="earliest")
    assert read(group.reader(), 2) == ["0-8", "0-9"]
    assert group.gaps == []


def test_a_gap_that_could_not_be_told_is_told_again_before_anything_after_it_is_read(
    kafka: Kafka, topic: str, group: Group
):
    removed_while_nobody_read(kafka, topic, group)

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

    assert eventually(first_entry) == b"0-8"
    assert group.gaps == [group.gaps[0]] * 3


def test_a_reader_that_retention_overtakes_tells_the_gap(
    kafka: Kafka, topic: str, group: Group, monkeypatch: pytest.MonkeyPatch
):
    with_settings(monkeypatch, queued_max_messages_kbytes=1, fetch_message_max_bytes=1)
    kafka.produce(topic, ({}, b"1"))
    reader = group.reader()
    read(reader, 1)
    # It fetches no more than fills its queue, which one or two of these do.
    for _ in range(9):
        kafka.produce(topic, ({}, b"x" * 2_000))
    kafka.delete(topic, before=9)
    positions: list[str] = []
    eventually(lambda: positions.extend(read(reader, 1)) or positions[-1] == "0-9")

    [gap] = group.gaps
    offsets = [int(position.partition("-")[2]) for position in positions]
    assert gap.count
    assert len(offsets) + gap.count == 9
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


class KnowsTimes:
    """A client whose brokers know the offset for a time, as Kafka's do and the mock doesn't; all else it asks of the mock."""

    def __init__(self, client: Any, times: dict[int, list[datetime]]) -> None:
        self._client = client
        self._times = times

    def offsets_for_times(self, asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """The first message of that time or later; -1 if there is none."""
        return [TopicPartition(each.topic, each.partition, self._first(each.partition, each.offset)) for each in asked]

    def _first(self, partition: int, milliseconds: int) -> int:
        times = self._times.get(partition, [])
        later = [place for place, time in enumerate(times) if time.timestamp() * 1000 >= milliseconds]
        return later[0] if later else -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def wind_back(group: Group, time: datetime, *, known: dict[int, list[datetime]]) -> TopicReader:
    """A reader that goes on with the messages of a time, on brokers that know these."""
    reader = group.reader(since=time)
    if not REAL_BOOTSTRAP:
        reader._client = KnowsTimes(reader._client, known)  # type: ignore[assignment]
    return reader


HOUR = timedelta(hours=1)


def test_a_group_goes_on_with_the_messages_of_a_time(kafka: Kafka, topic: str, group: Group):
    now = datetime.now(UTC)
    kafka.produce(topic, *[({}, b"1")] * 2)
    first = group.reader()
    read(first, 2)
    first.close()
    again = wind_back(group, now - HOUR, known={0: [now, now]})
    assert read(again, 2) == ["0-0", "0-1"]
    assert kafka.committed(topic, group.name)[0] == 2
    assert group.gaps == []
    # Only once: what it is given later it reads on from where it is.
    kafka.produce(topic, ({}, b"1"))
    hold(again, {"0-2"})
    assert read(again, 1) == ["0-2"]


@pytest.mark.skipif(bool(REAL_BOOTSTRAP), reason="a real cluster has messages of now alone")
def test_the_messages_before_that_time_are_passed_over(kafka: Kafka, topic: str, group: Group):
    now = datetime.now(UTC)
    kafka.produce(topic, *[({}, b"1")] * 4)
    known = [now - 3 * HOUR, now - 2 * HOUR, now - HOUR, now]
    assert read(wind_back(group, now - 2 * HOUR, known={0: known}), 3) == ["0-1", "0-2", "0-3"]
    assert group.gaps == []


@pytest.mark.skipif(bool(REAL_BOOTSTRAP), reason="a real cluster has messages of now alone")
def test_messages_that_nobody_read_before_that_time_are_told_as_a_gap(kafka: Kafka, topic: str, group: Group):
    now = datetime.now(UTC)
    kafka.commit(topic, group.name, {0: 1, 1: 0})
    kafka.produce(topic, *[({}, b"1")] * 4)
    known = [now - 3 * HOUR, now - 2 * HOUR, now - HOUR, now]
    assert read(wind_back(group, now - HOUR, known={0: known}), 2) == ["0-2", "0-3"]
    assert [(gap.since, gap.until, gap.count) for gap in group.gaps] == [("0-0", "0-2", 1)]


def test_where_a_time_has_no_messages_yet_the_group_goes_on_with_the_next(kafka: Kafka, topic: str, group: Group):
    """Of a time to come the mock says what Kafka says."""
    kafka.produce(topic, *[({}, b"1")] * 2)
    reader = group.reader(since=datetime.now(UTC) + HOUR)
    assigned(reader)
    eventually(lambda: reader.read() == [] and kafka.committed(topic, group.name)[0] == 2)
    kafka.produce(topic, ({}, b"1"))
    assert read(reader, 1) == ["0-2"]


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
