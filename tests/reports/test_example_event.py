"""Examples: every event type that can travel has one that fits it, with the values that rules ask for."""

import pytest

from pipeline.bus.catalogue import event_types, user_of
from pipeline.bus.codec import can_travel
from pipeline.lms.events import PASSING
from pipeline.models import RequirementRule
from pipeline.reports.example_event import example_payload
from pipeline.reports.written_event import WrittenEvent, misfits


@pytest.mark.parametrize("name", [name for name in event_types() if can_travel(name)])
def test_an_example_is_an_event_that_could_come_with_a_learner(name):
    payload = example_payload(event_types()[name])
    assert misfits(WrittenEvent(name, payload)) == []
    assert user_of(name, payload) is not None


def rule(path: str, value: str, operator: str = "eq") -> RequirementRule:
    return RequirementRule(data_path=path, operator=operator, value=value)


def test_an_example_has_the_values_that_rules_expect_to_be_equal():
    rules = [
        rule("is_passing", "No"),
        rule("course.course_key", "course-v1:A+B+C"),
        rule("course.display_name", "x", "ne"),
    ]
    payload = example_payload(event_types()[PASSING], rules)
    assert (payload["is_passing"], payload["course"]["course_key"]) == (False, "course-v1:A+B+C")
    assert payload["course"]["display_name"] != "x"


def test_a_rule_that_no_value_could_meet_leaves_the_example_as_it_is():
    rules = [rule("is_passing", "perhaps"), rule("course.nothing", "5"), rule("", "5"), rule("course", "5")]
    assert example_payload(event_types()[PASSING], rules) == example_payload(event_types()[PASSING])


def test_an_event_that_cannot_travel_is_told():
    [forum, *_] = [name for name in event_types() if not can_travel(name)]
    assert misfits(WrittenEvent(forum, {})) == ["Events of this type cannot travel on the event bus."]
