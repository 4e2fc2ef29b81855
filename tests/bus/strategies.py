"""Payloads of every event type, as they come out of the codec."""

from datetime import UTC, datetime
from typing import Any, get_args, get_origin

import attrs
from ccx_keys.locator import CCXLocator
from hypothesis import strategies as st
from opaque_keys.edx.keys import CourseKey, UsageKey
from openedx_events.data import EventsMetadata

from pipeline.bus.catalogue import EventType, event_types
from pipeline.bus.codec import can_travel

words = st.text("abcXYZ019", min_size=1, max_size=8)
storable_text = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30)
times = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))

travelling = st.sampled_from([event for event in event_types().values() if can_travel(event.name)])

_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: storable_text,
    datetime: times.map(datetime.isoformat),
    CourseKey: st.builds("course-v1:{}+{}+{}".format, words, words, words),
    CCXLocator: st.builds("ccx-v1:{}+{}+{}+ccx@{}".format, words, words, words, st.integers(1, 99)),
    UsageKey: st.builds("block-v1:{}+{}+{}+type@problem+block@{}".format, words, words, words, words),
}


def payloads(event: EventType) -> st.SearchStrategy[dict[str, Any]]:
    return _record(event.payload_class)


def metadata(event: EventType) -> st.SearchStrategy[EventsMetadata]:
    return st.builds(EventsMetadata, event_type=st.just(event.name), id=st.uuids(), time=times, source=words)


def _record(data_class: type) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({field.name: _value(field) for field in attrs.fields(data_class)})


def _value(field: Any) -> st.SearchStrategy[Any]:
    values = _values_of(field.type)
    # The stock deserializer takes an empty value for an absent one where None is the default.
    return st.none() | values.filter(bool) if field.default is None else values


def _values_of(data_type: Any) -> st.SearchStrategy[Any]:
    if get_origin(data_type) is list:
        return st.lists(_values_of(get_args(data_type)[0]), max_size=3)
    if get_origin(data_type) is dict:
        return st.dictionaries(*map(_values_of, get_args(data_type)), max_size=3)
    return _record(data_type) if attrs.has(data_type) else _VALUES[data_type]
