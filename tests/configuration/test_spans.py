"""Lengths and limits of time as people write them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.configuration import spans


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90d", timedelta(days=90)),
        ("2w", timedelta(days=14)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
        ("36525d", timedelta(days=36_525)),
    ],
)
def test_a_length_is_a_number_and_a_unit(text: str, length: timedelta):
    assert spans.duration(text) == length


@pytest.mark.parametrize("text", ["", "90", "d", "90 d", "90D", "-1d", "0d", "1.5d", "1d12h", "٣d", "90d\n", "90y"])
def test_what_is_no_length_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match=r"no length of time\..* such as 90d"):
        spans.duration(text)


@pytest.mark.parametrize("text", ["36526d", "999999999w"])
def test_more_than_a_century_is_refused(text: str):
    with pytest.raises(ValueError, match="longer than a century"):
        spans.duration(text)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=90), "90d"),
        (timedelta(weeks=2), "14d"),
        (timedelta(hours=36), "36h"),
        (timedelta(days=1, minutes=1), "1441m"),
        (timedelta(minutes=1, seconds=1), "61s"),
    ],
)
def test_a_length_is_written_in_the_greatest_unit_that_fits(length: timedelta, text: str):
    assert spans.written(length) == text


@given(seconds=st.integers(1, 36_525 * 86_400) | st.integers(1, 36_525).map(lambda days: days * 86_400))
def test_what_is_written_is_read_as_the_same_length(seconds: int):
    length = timedelta(seconds=seconds)
    assert spans.duration(spans.written(length)) == length


def test_a_date_is_a_whole_day_of_utc():
    assert spans.start("2026-06-30") == datetime(2026, 6, 30, tzinfo=UTC)
    assert spans.end("2026-06-30") == datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize("limit", [spans.start, spans.end])
@pytest.mark.parametrize("text", ["2026-03-01T12:00:00+02:00", "2026-03-01 10:00Z", "2026-03-01T10:00:00.000000+00:00"])
def test_a_time_is_itself_in_utc(limit: Callable[[str], datetime], text: str):
    assert limit(text) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert limit(text).tzinfo is UTC


@pytest.mark.parametrize("limit", [spans.start, spans.end])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-03-01T12:00:00", "has no time zone. Add Z"),
        ("20260301", "has no time zone"),
        ("soon", "neither a date such as 2026-03-01 nor a time"),
        ("", "neither a date"),
        ("2026-02-30", "neither a date"),
        ("2026-03-01T25:00:00Z", "neither a date"),
        ("0001-01-01T00:00:00+14:00", "not between the years"),
        ("9999-12-31", "not between the years"),
        ("1970-01-01T00:00:00+14:00", "not between the years"),
        ("1969-12-31", "not between the years"),
        ("9999-12-31T23:59:00-14:00", "not between the years"),
        ("9999-01-01T00:00:01Z", "not between the years"),
    ],
)
def test_what_is_no_limit_is_refused_in_words(limit: Callable[[str], datetime], text: str, words: str):
    with pytest.raises(ValueError, match=words):
        limit(text)


@pytest.mark.parametrize("read", [spans.duration, spans.start, spans.end])
@given(text=st.text())
def test_any_other_text_is_refused_with_the_text(read: Callable[[str], object], text: str):
    with pytest.raises(ValueError) as refused:
        read(f"{text}?")
    assert f"“{text}?”" in str(refused.value)


MOMENTS = st.datetimes(spans.EARLIEST.replace(tzinfo=None), spans.LATEST.replace(tzinfo=None), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("write", "read"), [(spans.written_start, spans.start), (spans.written_end, spans.end)], ids=["start", "end"]
)
@given(moment=MOMENTS | MOMENTS.map(lambda each: each.replace(hour=0, minute=0, second=0, microsecond=0)))
@example(moment=spans.EARLIEST)
@example(moment=spans.LATEST)
def test_what_is_written_is_read_as_the_same_limit(
    write: Callable[[datetime], str], read: Callable[[str], datetime], moment: datetime
):
    assert read(write(moment)) == moment


def test_a_limit_is_written_as_a_date_where_one_says_it():
    july = datetime(2026, 7, 1, tzinfo=UTC)
    assert (spans.written_start(july), spans.written_end(july)) == ("2026-07-01", "2026-06-30")
    assert spans.written_end(july + timedelta(hours=1)) == "2026-07-01T01:00:00+00:00"
    assert spans.written_end(spans.EARLIEST) == "1970-01-01T00:00:00+00:00"
