import copy
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openedx_events.tooling import KNOWN_UNSERIALIZABLE_SIGNALS

from pipeline.bus import codec
from pipeline.bus.catalogue import event_types
from pipeline.bus.codec import DecodedMessage, UndecodableMessage, decode
from tests.bus.examples import ID, PASSED, PASSING, TIME, fields
from tests.bus.strategies import metadata, payloads, travelling

ENTRY = b"1700000000000-3"


def read(message: dict[bytes, bytes], stream: str = "s") -> DecodedMessage | UndecodableMessage:
    return decode(ENTRY, message, stream=stream)


@given(st.data(), travelling)
def test_whatever_is_published_is_read_unchanged(data, event):
    payload = data.draw(payloads(event))
    published = data.draw(metadata(event))
    message = codec.encode(event.signal, codec.event_data_for(event.signal, payload), published)
    decoded = read(message)
    assert decoded == DecodedMessage(
        id=published.id,
        type=event.name,
        time=published.time,
        source=published.source,
        minorversion=published.minorversion,
        payload=payload,
        position=ENTRY.decode(),
    )
    assert json.loads(json.dumps(decoded.payload)) == payload


def test_the_events_that_cannot_travel_are_those_that_openedx_events_names():
    unable = {name for name in event_types() if not codec.can_travel(name)}
    assert unable == set(event_types()) & set(KNOWN_UNSERIALIZABLE_SIGNALS)
    assert len(unable) == 3


@given(st.dictionaries(st.binary(max_size=12), st.binary(max_size=200)))
def test_arbitrary_fields_never_raise(message):
    assert isinstance(read(message), UndecodableMessage)


@given(travelling, st.binary(max_size=300))
def test_arbitrary_event_data_never_raises(event, data):
    decoded = read(fields(type=event.name.encode(), event_data=data))
    json.dumps(decoded.payload if isinstance(decoded, DecodedMessage) else decoded.reason, allow_nan=False)


@given(st.sampled_from(["id", "time", "type", "source", "minorversion"]), st.binary(max_size=60))
def test_arbitrary_headers_never_raise(header, value):
    decoded = read(fields(**{header: value}))
    assert isinstance(decoded, DecodedMessage) or decoded.reason


@given(st.dictionaries(st.binary(), st.binary()))
def test_raw_fields_are_kept_without_loss(message):
    assert codec.decode_raw(codec.encode_raw(message)) == message


@pytest.mark.parametrize("header", ["id", "time", "type", "event_data"])
def test_a_missing_field_is_named(header):
    decoded = read(fields(**{header: None}))
    assert isinstance(decoded, UndecodableMessage)
    assert f"'{header}' is missing" in decoded.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": b"42"}, "'id' cannot be read"),
        ({"id": b"\xff"}, "'id' cannot be read"),
        ({"time": b"yesterday"}, "'time' cannot be read"),
        ({"time": b"2026-08-01T12:30:00"}, "no time zone"),
        ({"time": b"0001-01-01T00:00:00+14:00"}, "outside the years 1970 to 9998"),
        ({"type": b"no.such.event.v1"}, "event type no.such.event.v1 is unknown"),
        ({"type": b"Ada <ada@example.org>"}, "event type in the header 'type' is unknown"),
        ({"type": b"org.openedx.learning.forum.thread.created.v1"}, "cannot travel"),
        ({"source": b"a\0b"}, "'source' is too long or holds a NUL"),
        ({"source": b"a" * 256}, "'source' is too long or holds a NUL"),
        ({"minorversion": b"one"}, "'minorversion' cannot be read"),
        ({"event_data": b""}, "not what the schema"),
        ({"event_data": fields()[b"event_data"][:-1]}, "not what the schema"),
    ],
)
def test_what_cannot_be_read_comes_with_a_reason(change, reason):
    decoded = read(fields(**change))
    assert isinstance(decoded, UndecodableMessage)
    assert reason in decoded.reason
    assert codec.decode_raw(decoded.raw) == fields(**change)


def test_a_nul_character_in_the_payload_is_refused_with_its_place():
    payload = copy.deepcopy(PASSED)
    payload["course"]["display_name"] = "a\0b"
    decoded = read(fields(payload))
    assert isinstance(decoded, UndecodableMessage)
    assert "course_passing_status.course.display_name" in decoded.reason


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused_with_their_place(number):
    signal = codec.find_signal("org.openedx.learning.course.persistent_grade_summary.changed.v1")
    grade = {
        "user_id": 7,
        "course": {"course_key": "course-v1:A+B+C"},
        "course_edited_timestamp": TIME.isoformat(),
        "course_version": "1",
        "grading_policy_hash": "x",
        "percent_grade": float(number),
        "letter_grade": "A",
        "passed_timestamp": TIME.isoformat(),
    }
    published = codec.EventsMetadata(event_type=signal.event_type, id=ID, time=TIME)
    decoded = read(codec.encode(signal, codec.event_data_for(signal, grade), published))
    assert isinstance(decoded, UndecodableMessage)
    assert "grade.percent_grade is not a finite number" in decoded.reason


def test_bytes_after_the_event_are_left_alone_as_a_newer_lms_may_add_fields():
    decoded = read(fields(event_data=fields()[b"event_data"] + b"more"))
    assert isinstance(decoded, DecodedMessage)
    assert decoded.payload == PASSED


def test_no_reason_shows_personal_data():
    payload = copy.deepcopy(PASSED)
    payload["user"]["pii"]["name"] = "Ada\0"
    for message in (fields(payload), fields(event_data=fields()[b"event_data"][:-1]), fields(id=b"Ada")):
        decoded = read(message)
        assert isinstance(decoded, UndecodableMessage)
        assert "ada" not in decoded.reason.lower()


def test_a_time_with_an_offset_is_read_in_utc():
    decoded = read(fields(time=b"2026-08-01T14:30:00+02:00"))
    assert isinstance(decoded, DecodedMessage)
    assert decoded.time == TIME
    assert decoded.time.utcoffset() == timedelta(0)


def test_a_second_reading_of_an_undecodable_entry_has_the_same_id():
    broken = fields(id=None)
    assert read(broken).id == read(broken).id
    assert len({read(broken).id, read(broken, "other").id, decode(b"2-0", broken, stream="s").id}) == 3


def test_an_undecodable_entry_keeps_the_type_it_claims_if_that_is_a_type_name():
    assert read(fields(id=None)).type == PASSING
    assert read(fields(id=None, type=b"Ada \0")).type == ""


def test_an_event_without_a_learner_is_read_all_the_same():
    signal = codec.find_signal("org.openedx.content_authoring.course.created.v1")
    course = {"course_key": "course-v1:A+B+C"}
    data = codec.event_data_for(signal, course)
    published = codec.EventsMetadata(event_type=signal.event_type, id=ID, time=TIME)
    decoded = read(codec.encode(signal, data, published))
    assert isinstance(decoded, DecodedMessage)
    assert decoded.payload["course_key"] == course["course_key"]
