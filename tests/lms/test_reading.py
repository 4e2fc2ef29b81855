import copy
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from openedx_events.learning.signals import COURSE_ENROLLMENT_CREATED

from pipeline.bus.catalogue import event_type, event_types
from pipeline.bus.codec import can_travel
from pipeline.configuration.places import DocumentError
from pipeline.lms.events import CCX_PASSING, PASSING, LmsLearner, passing_event
from pipeline.lms.reading import read_events
from pipeline.reports.example_event import example_payload

TYPES = [PASSING, CCX_PASSING]
EVENTS = [
    passing_event(LmsLearner(7, "ada", "ada@example.org", "Ada"), course, True, datetime(2026, 8, 1, tzinfo=UTC))
    for course in ("course-v1:A+B+C", "ccx-v1:A+B+C+ccx@1")
]


def written(event):
    fields = {"id": str(event.id), "time": event.time.isoformat(), "type": event.type, "payload": event.payload}
    return copy.deepcopy(fields)


def read(*fields, types=TYPES):
    return read_events([json.dumps(line) for line in fields], "events.jsonl", types)


def problems(*lines):
    with pytest.raises(DocumentError) as refused:
        read_events(lines, "events.jsonl", TYPES)
    return str(refused.value).splitlines()


def changed(path, value=...):
    """A good line of a course event with the value at a path replaced; without a value: removed."""
    fields = written(EVENTS[0])
    *way, last = path.split(".")
    inner = fields
    for step in way:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(fields)


def test_what_is_written_is_read_back():
    assert read(*map(written, EVENTS)) == EVENTS


def test_an_event_without_id_and_time_gets_new_ones():
    fields = written(EVENTS[0])
    del fields["id"], fields["time"]
    before = datetime.now(UTC)
    first, second = read(fields, fields)
    assert isinstance(first.id, UUID)
    assert first.id != second.id
    assert before <= first.time <= datetime.now(UTC)


def test_payload_fields_with_a_default_may_be_left_out():
    read_events([changed("payload.course", {"course_key": "course-v1:A+B+C"})], "events.jsonl", TYPES)


def test_an_event_of_a_type_that_cannot_travel_is_told_at_once():
    forum = [name for name in event_types() if not can_travel(name)]
    assert len(forum) == 3
    for name in forum:
        with pytest.raises(DocumentError, match="type: names events that cannot travel on the event bus"):
            read({"type": name, "payload": example_payload(event_type(name))}, types=[name])


def test_empty_lines_are_skipped_and_counted():
    assert problems("", "\n", "nonsense")[0].startswith("events.jsonl:3: is not JSON")


def test_every_problem_of_every_line_is_told():
    assert problems(changed("id", "1"), changed("time", "now")) == [
        "events.jsonl:1: id: must be a UUID",
        "events.jsonl:2: time: must be an ISO 8601 time with its zone",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[]", "must be an object"),
        (changed("id", 5), "id: must be a UUID"),
        (changed("id", None), "id: must be a UUID"),
        (changed("time", "2026-08-01T00:00:00"), "time: must be an ISO 8601 time with its zone"),
        (changed("time", 0), "time: must be an ISO 8601 time with its zone"),
        (changed("color", "red"), "color: is unknown; allowed: id, time, type, payload"),
        (changed("type", "org.example"), f"type: must be one of {CCX_PASSING}, {PASSING}"),
        (changed("type"), f"type: must be one of {CCX_PASSING}, {PASSING}"),
        (changed("payload"), "payload: must be an object"),
        (changed("payload.is_passing", "yes"), "payload.is_passing: must be a boolean"),
        (changed("payload.user.id", True), "payload.user.id: must be a whole number"),
        (changed("payload.user.pii"), "payload.user.pii: is missing"),
        (changed("payload.user.pii.email"), "payload.user.pii.email: is missing"),
        (changed("payload.user.pii.email", None), "payload.user.pii.email: must be a text"),
        (changed("payload.course.course_key", "B"), "payload.course.course_key: must be the text of a CourseKey"),
        (changed("payload.course.start", "soon"), "payload.course.start: must be the text of a datetime"),
        (changed("payload.grade", 1), "payload.grade: is unknown; allowed: is_passing, course, user"),
        (changed("payload.user.id", 2**63), "payload: does not fit the event type (OverflowError)"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(line, problem):
    assert problems(line) == [f"events.jsonl:1: {problem}"]


def test_a_ccx_event_needs_a_ccx_key():
    fields = written(EVENTS[1])
    fields["payload"]["course"]["ccx_course_key"] = "course-v1:A+B+C"
    with pytest.raises(DocumentError, match="ccx_course_key: must be the text of a CCXLocator"):
        read(fields)


def test_values_of_a_person_are_never_shown():
    [problem] = problems(changed("payload.user.pii.name", ["Ada Lovelace"]))
    assert "Ada" not in problem


def test_any_other_enabled_event_type_is_read():
    name = COURSE_ENROLLMENT_CREATED.event_type
    fields = written(EVENTS[0]) | {"type": name}
    fields["payload"] = {
        "user": EVENTS[0].payload["user"],
        "course": EVENTS[0].payload["course"],
        "mode": "audit",
        "is_active": True,
        "creation_date": "2026-08-01T00:00:00+00:00",
    }
    [event] = read(fields, types=[name])
    assert event.payload == fields["payload"]
