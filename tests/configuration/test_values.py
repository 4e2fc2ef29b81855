"""Values of typed key paths: what events can carry is allowed, what can never match is refused."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opaque_keys.edx.locator import BlockUsageLocator, CourseLocator, LibraryLocator

from pipeline.bus.catalogue import EventType, key_paths
from pipeline.bus.codec import DecodedMessage, decode, encode, event_data_for
from pipeline.configuration.values import allowed_instead
from pipeline.rules import key_of, value_at
from tests.bus.strategies import metadata, payloads, travelling

KEY = "course-v1:OpenedX+DemoX+Demo_Course"


@given(data=st.data(), event=travelling)
def test_whatever_an_event_carries_at_a_key_path_is_allowed_there(data: st.DataObject, event: EventType):
    event_data = event_data_for(event.signal, data.draw(payloads(event)))
    message = decode(b"1-0", encode(event.signal, event_data, data.draw(metadata(event))), stream="topic")
    assert isinstance(message, DecodedMessage)
    for path, type_word in key_paths(event.name).items():
        key = key_of(value_at(message.payload, path))
        if key is not None:
            assert allowed_instead(type_word, str(key)) is None


@pytest.mark.parametrize(
    ("type_word", "value"),
    [
        ("course key", KEY),
        ("course key", "OpenedX/DemoX/Demo_Course"),
        ("course key", "ccx-v1:OpenedX+DemoX+Demo_Course+ccx@1"),
        ("course key", str(LibraryLocator("OpenedX", "Library"))),
        ("usage key", str(BlockUsageLocator(CourseLocator("OpenedX", "DemoX", "1"), "problem", "final"))),
        ("usage key", "i4x://OpenedX/DemoX/problem/final"),
        ("time", "2026-05-01T12:00:00+00:00"),
        ("time", "2026-05-01T12:00:00.250000+02:00"),
        ("number", "25.0"),
        ("number", "-1e-07"),
        ("integer", "-25"),
        ("UUID", str(UUID(int=7))),
        ("text", "anything"),
        ("", "anything"),
    ],
)
def test_the_text_that_the_lms_writes_is_allowed(type_word: str, value: str):
    assert allowed_instead(type_word, value) is None


@pytest.mark.parametrize(
    ("type_word", "value"),
    [
        ("integer", "25.0"),
        ("integer", "2.5e1"),
        ("number", "25"),
        ("number", "2.5E+1"),
        ("time", "2026-05-01T12:00:00Z"),
        ("time", "2026-05-01 12:00+02:00"),
    ],
)
def test_numbers_and_times_may_be_written_in_other_ways_than_the_lms_does(type_word: str, value: str):
    assert allowed_instead(type_word, value) is None


@pytest.mark.parametrize(
    ("type_word", "value", "example"),
    [
        ("course key", "Demo Course", "course-v1:OpenedX+DemoX+Demo_Course"),
        ("course key", f"{KEY} ", "course-v1:"),
        ("course key", "course-v1:OpenedX+DemoX", "course-v1:"),
        ("course key", "", "course-v1:"),
        ("usage key", KEY, "block-v1:"),
        ("usage key", "final", "block-v1:"),
        ("time", "2026-05-01", "2026-05-01T12:00:00+00:00"),
        ("time", "2026-05-01T12:00:00", "a time with its zone"),
        ("time", "soon", "2026-05-01T12:00:00+00:00"),
        ("number", "nan", "0.5"),
        ("number", "many", "0.5"),
        ("number", "1e400", "0.5"),
        ("number", "1_000", "0.5"),
        ("integer", "25.5", "25"),
        ("integer", "", "25"),
        ("UUID", str(UUID(int=0xABC)).upper(), "0f1e2d3c-"),
        ("UUID", "badge", "0f1e2d3c-"),
        ("boolean", "maybe", "true"),
    ],
)
def test_a_value_that_no_event_can_carry_is_refused_with_an_example(type_word: str, value: str, example: str):
    assert example in (allowed_instead(type_word, value) or "")


@pytest.mark.parametrize("type_word", ["integer", "number", "time", "course key", "usage key", "UUID"])
@given(text=st.text())
def test_any_text_is_judged_without_an_error(type_word: str, text: str):
    allowed_instead(type_word, text)
