import pytest

from pipeline.bus import positions
from pipeline.bus.gap import Gap
from pipeline.bus.positions import Backlog, backlog, entry_key, entry_time, find_gap, groups, unread
from pipeline.bus.trimming import trim
from tests.bus.conftest import TOPIC
from tests.bus.test_streams import add


def give(bus, stream, group, count, *, acknowledge):
    """Let a group read some entries."""
    [[_, entries]] = bus.xreadgroup(group, "someone", {stream: ">"}, count=count)
    if acknowledge:
        bus.xack(stream, group, *(entry_id for entry_id, _ in entries))


def left(bus, stream):
    return [entry_id for entry_id, _ in bus.xrange(stream)]


@pytest.mark.parametrize(("earlier", "later"), [(b"9-0", b"10-0"), (b"5-9", b"5-10"), (b"0", b"0-1")])
def test_entry_ids_sort_as_numbers(earlier, later):
    assert entry_key(earlier) < entry_key(later)


def test_a_stream_that_does_not_exist_has_no_groups_and_nothing_unread(bus):
    assert groups(TOPIC) == []
    assert unread(TOPIC, "lms") == 0
    assert find_gap(TOPIC, "lms") is None


def test_everything_waits_for_a_group_that_does_not_exist_yet(bus, stream):
    add(bus, stream, 3)
    assert unread(TOPIC, "lms") == 3


def test_unread_counts_what_is_not_delivered_and_what_is_not_acknowledged(bus, stream):
    add(bus, stream, 1_205)
    bus.xgroup_create(stream, "lms", "0")
    give(bus, stream, "lms", 2, acknowledge=True)
    give(bus, stream, "lms", 3, acknowledge=False)
    assert unread(TOPIC, "lms") == 1_203


def test_a_backlog_is_what_is_unread_and_the_time_of_the_oldest_of_it(bus, stream):
    assert backlog(TOPIC, "lms") == Backlog(0, None)
    ids = [entry_id.decode() for entry_id in add(bus, stream, 9)]
    assert backlog(TOPIC, "lms") == Backlog(9, entry_time(ids[0]))
    bus.xgroup_create(stream, "lms", "0")
    give(bus, stream, "lms", 2, acknowledge=True)
    assert backlog(TOPIC, "lms") == Backlog(7, entry_time(ids[2]))
    give(bus, stream, "lms", 3, acknowledge=False)
    assert backlog(TOPIC, "lms") == Backlog(7, entry_time(ids[2]))
    give(bus, stream, "lms", 4, acknowledge=True)
    assert backlog(TOPIC, "lms") == Backlog(3, entry_time(ids[2]))
    bus.xack(stream, "lms", *ids)
    assert backlog(TOPIC, "lms") == Backlog(0, None)


def test_a_long_backlog_is_counted_no_further_than_it_must(bus, stream, monkeypatch):
    monkeypatch.setattr(positions, "MOST_COUNTED", 1_000)
    add(bus, stream, 2_500)
    bus.xgroup_create(stream, "lms", "0")
    server_tells = bus.xinfo_groups(stream)[0].get("lag") is not None
    assert backlog(TOPIC, "lms").entries == (2_500 if server_tells else 1_000)


def test_groups_tell_the_oldest_entry_each_still_needs(bus, stream):
    ids = add(bus, stream, 4)
    bus.xgroup_create(stream, "done", "0")
    bus.xgroup_create(stream, "holding", "0")
    give(bus, stream, "done", 3, acknowledge=True)
    give(bus, stream, "holding", 3, acknowledge=False)
    assert {group.name: group.needed_from for group in groups(TOPIC)} == {"done": ids[2], "holding": ids[0]}


def test_a_gap_is_seen_only_when_the_last_delivered_entry_is_gone(bus, stream):
    ids = add(bus, stream, 6)
    bus.xgroup_create(stream, "lms", "0")
    give(bus, stream, "lms", 3, acknowledge=True)
    bus.xtrim(stream, minid=ids[2], approximate=False)
    assert find_gap(TOPIC, "lms") is None
    bus.xtrim(stream, minid=ids[5], approximate=False)
    gap = find_gap(TOPIC, "lms")
    assert isinstance(gap, Gap)
    assert (gap.since, gap.until) == (ids[2].decode(), ids[5].decode())
    assert gap.count in (2, None)


def test_a_server_that_counts_entries_sees_no_gap_when_exactly_the_read_part_is_gone(bus, stream):
    ids = add(bus, stream, 4)
    bus.xgroup_create(stream, "lms", "0")
    give(bus, stream, "lms", 2, acknowledge=True)
    bus.xtrim(stream, minid=ids[2], approximate=False)
    gap = find_gap(TOPIC, "lms")
    counts = "lag" in bus.xinfo_groups(stream)[0]
    assert gap is None if counts else gap.count is None


def test_a_server_whose_memory_is_full_can_be_asked(bus, stream):
    add(bus, stream, 3)
    bus.xgroup_create(stream, "lms", "0")
    give(bus, stream, "lms", 2, acknowledge=True)
    bus.config_set("maxmemory", 1)
    try:
        assert find_gap(TOPIC, "lms") is None
        assert unread(TOPIC, "lms") == 1
    finally:
        bus.config_set("maxmemory", 0)


def test_a_group_that_was_given_nothing_yet_has_no_gap(bus, stream):
    add(bus, stream, 4)
    bus.xgroup_create(stream, "lms", "0")
    bus.xtrim(stream, maxlen=1, approximate=False)
    assert find_gap(TOPIC, "lms") is None


def test_a_stream_that_nobody_reads_is_not_trimmed(bus, stream):
    ids = add(bus, stream, 10)
    assert trim(bus, TOPIC, 3) == 0
    assert left(bus, stream) == ids


def test_a_stream_within_its_limit_is_not_trimmed(bus, stream):
    ids = add(bus, stream, 3)
    bus.xgroup_create(stream, "lms", "$")
    assert trim(bus, TOPIC, 3) == 0
    assert left(bus, stream) == ids


def test_what_every_group_has_handled_is_trimmed_to_the_limit(bus, stream):
    ids = add(bus, stream, 2_500)
    bus.xgroup_create(stream, "lms", "$")
    assert trim(bus, TOPIC, 4) == 2_496
    assert left(bus, stream) == ids[-4:]


def test_what_one_group_has_not_read_is_not_trimmed(bus, stream):
    ids = add(bus, stream, 10)
    bus.xgroup_create(stream, "fast", "$")
    bus.xgroup_create(stream, "slow", "0")
    give(bus, stream, "slow", 4, acknowledge=True)
    trim(bus, TOPIC, 2)
    assert left(bus, stream) == ids[3:]
    assert unread(TOPIC, "slow") == 6


def test_what_one_group_has_not_acknowledged_is_not_trimmed(bus, stream):
    ids = add(bus, stream, 10)
    bus.xgroup_create(stream, "lms", "0")
    give(bus, stream, "lms", 3, acknowledge=True)
    give(bus, stream, "lms", 7, acknowledge=False)
    trim(bus, TOPIC, 2)
    assert left(bus, stream) == ids[3:]


def test_a_group_that_has_read_nothing_keeps_everything(bus, stream):
    ids = add(bus, stream, 10)
    bus.xgroup_create(stream, "fast", "$")
    bus.xgroup_create(stream, "new", "0")
    assert trim(bus, TOPIC, 2) == 0
    assert left(bus, stream) == ids


def test_our_trimming_leaves_no_gap_for_any_group(bus, stream):
    add(bus, stream, 10)
    bus.xgroup_create(stream, "lms", "0")
    give(bus, stream, "lms", 6, acknowledge=True)
    trim(bus, TOPIC, 2)
    assert find_gap(TOPIC, "lms") is None
