import copy

import pytest

from pipeline.bus import catalogue
from tests.bus.examples import PASSED, PASSING, USER

REGISTERED = "org.openedx.learning.student.registration.completed.v1"
EXAM_RESET = "org.openedx.learning.exam.attempt.reset.v1"
CCX_PASSING = "org.openedx.learning.ccx.course.passing.status.updated.v1"


def test_every_event_about_a_learner_is_in_the_catalogue():
    assert len(catalogue.event_types()) == 30


def test_a_known_event_without_a_learner_is_not_in_the_catalogue():
    assert catalogue.find_signal("org.openedx.content_authoring.course.created.v1") is not None
    assert catalogue.event_type("org.openedx.content_authoring.course.created.v1") is None


def test_key_paths_are_relative_to_the_payload_and_carry_a_word_for_their_type():
    assert catalogue.key_paths(PASSING) == {
        "is_passing": "boolean",
        "course.course_key": "course key",
        "course.display_name": "text",
        "course.start": "time",
        "course.end": "time",
    }


def test_key_paths_lead_to_single_values_only():
    paths = catalogue.key_paths("org.openedx.learning.lti_provider.launch.success.v1")
    assert "launch_params.context_id" in paths
    assert not any(path.startswith("launch_params.extra_params") for path in paths)


def test_ignored_paths_may_be_written_from_the_signals_data(settings):
    settings.BADGES_CONFIG = {
        "events": [PASSING],
        "rules": {"ignored_keypaths": ["course_passing_status.course.end", "user.pii.email"]},
    }
    assert "course.end" not in catalogue.key_paths(PASSING)
    assert "pii.email" not in catalogue.key_paths(REGISTERED)
    assert "pii.name" in catalogue.key_paths(REGISTERED)


def test_an_ignored_path_of_the_user_hides_the_learner_whatever_the_payload_calls_it(settings):
    settings.BADGES_CONFIG = {"events": [EXAM_RESET], "rules": {"ignored_keypaths": ["user.pii.username"]}}
    paths = catalogue.key_paths(EXAM_RESET)
    assert "student_user.pii.username" not in paths
    assert {"student_user.pii.email", "requesting_user.pii.username"} <= paths.keys()


def test_configured_events_that_do_not_exist_are_left_out(settings):
    settings.BADGES_CONFIG = {"events": [CCX_PASSING, "no.such.event.v1", PASSING]}
    assert list(catalogue.badge_event_types()) == [CCX_PASSING, PASSING]


def test_the_learner_of_an_event_that_is_a_user_is_the_payload_itself():
    assert catalogue.user_of(REGISTERED, USER) == USER


def test_the_learner_of_an_exam_attempt_is_the_student_and_not_who_requested_it():
    requested = copy.deepcopy(USER) | {"id": 8}
    attempt = {"student_user": USER, "requesting_user": requested}
    assert catalogue.user_of(EXAM_RESET, attempt) == USER


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", True),
        ("id", "7"),
        ("id", 0),
        ("id", None),
        ("is_active", 1),
        ("pii", None),
        ("pii", []),
        ("pii.username", ""),
        ("pii.username", None),
        ("pii.email", None),
        ("pii.name", 3),
    ],
)
def test_a_malformed_learner_is_no_learner(path, value):
    payload = copy.deepcopy(PASSED)
    target = payload["user"]
    *parents, last = path.split(".")
    for step in parents:
        target = target[step]
    target[last] = value
    assert catalogue.user_of(PASSING, PASSED) == USER
    assert catalogue.user_of(PASSING, payload) is None


@pytest.mark.parametrize("payload", [{}, {"user": None}, {"user": [1]}, {"user": "ada"}])
def test_an_absent_learner_is_no_learner(payload):
    assert catalogue.user_of(PASSING, payload) is None


def test_an_event_type_without_learners_has_no_learner():
    assert catalogue.user_of("org.openedx.content_authoring.course.created.v1", {"user": USER}) is None
