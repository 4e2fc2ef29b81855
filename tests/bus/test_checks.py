import copy

import pytest
from django.core.checks import ERROR, WARNING, run_checks

from pipeline import checks
from tests.bus.examples import AWARDED, PASSING

CCX_PASSING = "org.openedx.learning.ccx.course.passing.status.updated.v1"


def configure(settings, events=(PASSING,), ignored=()):
    settings.BADGES_CONFIG = {"events": list(events), "credly": {}, "rules": {"ignored_keypaths": list(ignored)}}


def test_the_defaults_raise_nothing():
    assert [message for message in run_checks() if message.id.startswith("badges.")] == []


def test_the_checks_take_part_in_manage_py_check(settings):
    configure(settings, events=["no.such.event.v1"])
    assert [message.id for message in run_checks() if message.id.startswith("badges.E")] == ["badges.E001"]


def test_a_misspelt_event_type_is_an_error_that_names_near_ones(settings):
    configure(settings, events=[PASSING.replace("passing", "pasing")])
    [message] = checks.check_badge_events(None)
    assert message.level == ERROR
    assert "is unknown" in message.msg
    assert PASSING in message.hint


def test_an_event_type_without_a_learner_is_an_error(settings):
    configure(settings, events=["org.openedx.content_authoring.course.created.v1"])
    [message] = checks.check_badge_events(None)
    assert (message.id, "no user data" in message.msg) == ("badges.E001", True)


def test_an_event_type_that_no_bus_carries_is_a_warning(settings):
    configure(settings, events=["org.openedx.learning.forum.thread.created.v1"])
    [message] = checks.check_badge_events(None)
    assert message.level == WARNING
    assert message.id == "badges.W002"


@pytest.mark.parametrize(
    ("event", "key_field", "right"),
    [
        (CCX_PASSING, "course_passing_status.course.course_key", "course_passing_status.course.ccx_course_key"),
        (AWARDED, "uuid", "badge.uuid"),
        (AWARDED, "badge.id", "badge.uuid"),
    ],
)
def test_an_event_key_that_does_not_resolve_is_an_error_that_names_the_right_one(settings, event, key_field, right):
    settings.EVENT_BUS_PRODUCER_CONFIG = {event: {"topic": {"event_key_field": key_field, "enabled": True}}}
    [message] = checks.check_event_keys(None)
    assert (message.id, right in message.hint) == ("badges.E002", True)
    settings.EVENT_BUS_PRODUCER_CONFIG = {event: {"topic": {"event_key_field": right, "enabled": True}}}
    assert checks.check_event_keys(None) == []


def test_an_ignored_path_that_no_configured_event_has_is_a_warning(settings):
    known = ["user.pii.email", "course_passing_status.user.pii.email"]
    configure(settings, ignored=[*known, "user.pii.emial"])
    [message] = checks.check_ignored_key_paths(None)
    assert message.level == WARNING
    assert '"user.pii.emial"' in message.msg
    assert "user.pii.email" in message.hint


def test_ignored_paths_are_not_judged_while_no_configured_event_is_valid(settings):
    configure(settings, events=["no.such.event.v1"], ignored=["user.pii.email"])
    assert checks.check_ignored_key_paths(None) == []
    configure(settings, ignored=["user.pii.emial"])
    assert [message.id for message in checks.check_ignored_key_paths(None)] == ["badges.W001"]


@pytest.mark.parametrize("name", ["EVENT_BUS_PRODUCER", "EVENT_BUS_CONSUMER"])
@pytest.mark.parametrize("path", ["no.such.module", "pipeline.bus.producer.no_such_name", "nothing", ""])
def test_a_path_of_the_event_bus_that_leads_to_nothing_is_an_error(settings, name, path):
    assert checks.check_event_bus(None) == []
    setattr(settings, name, path)
    [message] = checks.check_event_bus(None)
    assert (message.level, message.id) == (ERROR, "badges.E003")
    assert message.msg.startswith(f'{name}: "{path}" can\'t be imported: ')


@pytest.mark.parametrize(
    ("part", "key", "label", "near"),
    [
        (None, "event", "BADGES_CONFIG", "events"),
        ("credly", "USE_SANDBOXES", 'BADGES_CONFIG["credly"]', "USE_SANDBOX"),
        ("rules", "ignored_paths", 'BADGES_CONFIG["rules"]', "ignored_keypaths"),
    ],
)
def test_a_key_of_the_badge_settings_that_means_nothing_is_a_warning_that_names_near_ones(
    settings, part, key, label, near
):
    assert checks.check_badges_config_keys(None) == []
    config = copy.deepcopy(settings.BADGES_CONFIG)
    (config[part] if part else config)[key] = True
    settings.BADGES_CONFIG = config
    [message] = checks.check_badges_config_keys(None)
    assert (message.level, message.id) == (WARNING, "badges.W003")
    assert message.msg == f'{label}: the key "{key}" means nothing here.'
    assert near in message.hint


def test_without_a_webhook_secret_the_deployment_check_warns(settings):
    def warned() -> list[str]:
        return [message.id for message in run_checks(include_deployment_checks=True) if message.id == "badges.W006"]

    settings.CREDLY_WEBHOOK_SECRET = ""
    assert warned() == ["badges.W006"]
    settings.CREDLY_WEBHOOK_SECRET = "the-secret"
    assert warned() == []
