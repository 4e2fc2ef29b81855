from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opaque_keys import InvalidKeyError

from pipeline.bus.catalogue import user_of
from pipeline.bus.codec import decode, encode
from pipeline.lms.events import CCX_PASSING, PASSING, LmsLearner, NotPublished, passing_event, send

TIME = datetime(2026, 8, 1, 12, 30, tzinfo=UTC)
ADA = LmsLearner(7, "ada", "ada@example.org", "Ada Lovelace")
COURSE = "course-v1:A+B+C"
CCX = "ccx-v1:A+B+C+ccx@1"

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
learners = st.builds(LmsLearner, st.integers(1, 2**31), texts, texts, texts)


def through_the_bus(event):
    return decode(b"1-0", encode(event.signal, event.data, event.metadata), stream="any")


@given(learner=learners, course=st.sampled_from([COURSE, CCX]), passing=st.booleans())
def test_an_event_is_what_a_consumer_decodes(learner, course, passing):
    event = passing_event(learner, course, passing, TIME)
    message = through_the_bus(event)
    assert message.payload == event.payload
    assert (message.type, message.id, message.time) == (event.type, event.id, event.time)


def test_an_event_comes_from_the_lms():
    assert through_the_bus(passing_event(ADA, COURSE, True, TIME)).source == "openedx/lms/web"


@pytest.mark.parametrize("course", [COURSE, CCX])
def test_an_event_names_its_learner(course):
    event = passing_event(ADA, course, True, TIME)
    assert user_of(event.type, event.payload) == {
        "id": 7,
        "is_active": True,
        "pii": {"username": "ada", "email": "ada@example.org", "name": "Ada Lovelace"},
    }


def test_a_course_key_makes_a_course_event():
    event = passing_event(ADA, COURSE, False, TIME)
    assert (event.type, event.payload["is_passing"], event.payload["course"]["course_key"]) == (PASSING, False, COURSE)


def test_a_ccx_key_makes_a_ccx_event_of_its_master_course():
    event = passing_event(ADA, CCX, True, TIME)
    course = event.payload["course"]
    assert (event.type, course["ccx_course_key"], course["master_course_key"]) == (CCX_PASSING, CCX, COURSE)


@pytest.mark.parametrize("course", ["Demo_Course", "library-v1:A+B"])
def test_what_is_no_course_key_makes_no_event(course):
    with pytest.raises(InvalidKeyError):
        passing_event(ADA, course, True, TIME)


def test_sending_what_is_not_enabled_says_so(settings):
    settings.EVENT_BUS_PRODUCER_CONFIG = {PASSING: {"topic": {"event_key_field": "any", "enabled": False}}}
    with pytest.raises(NotPublished, match="EVENT_BUS_PRODUCER_CONFIG"):
        send(passing_event(ADA, COURSE, True, TIME))
