"""The page "Try it": paste or pick an event, read what it would do."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core import serializers
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from pipeline.lms.events import CCX_PASSING, PASSING, LmsEvent
from pipeline.models import Event, Learner, RequirementRule, Template
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    TOPIC,
    at,
    course,
    course_template,
    deliver,
    fails,
    lms_learner,
    passes,
    penalty,
    received,
    requirement,
    template,
)
from tests.staff import client_of

pytestmark = pytest.mark.django_db


def page(row: Template) -> str:
    return f"/admin/pipeline/template/{row.pk}/try/"


def text_of(response) -> str:
    """The page's text as a person reads it, on one line."""
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def try_text(client: Client, row: Template, text: str, **fields: str):
    return client.post(page(row), {"event_type": PASSING, "payload": text, "action": "try"} | fields)


def payload_field(response) -> str:
    return response.context["form"]["payload"].value()


def errors(response, field: str = "payload") -> list[str]:
    assert response.status_code == 200
    assert "trial" not in response.context
    return response.context["form"].errors[field]


# Ways to give an event


def test_the_page_is_reached_from_the_template_and_leads_back(viewer):
    row = course_template()
    change = reverse("admin:pipeline_template_change", args=[row.pk])
    assert f'href="{page(row)}"' in viewer.get(change).content.decode()
    assert f'href="{change}"' in viewer.get(page(row)).content.decode()


def test_a_pasted_payload_shows_rule_by_rule_what_matched_and_what_would_happen(viewer):
    row = course_template()
    shown = text_of(try_text(viewer, row, json.dumps(passes(lms_learner(), 1).payload)))
    assert "The badge would be awarded." in shown
    for expected in ("is_passing", "course.course_key", DEMO, "✓ matches", "✗ does not match", "would be fulfilled"):
        assert expected in shown


@pytest.mark.parametrize("form", ["payload", "data", "event"])
def test_the_three_forms_of_an_event_mean_the_same(viewer, form):
    row, event = course_template(), passes(lms_learner(), 1)
    forms = {
        "payload": event.payload,
        "data": {"course_passing_status": event.payload},
        "event": {"id": str(event.id), "type": event.type, "time": event.time.isoformat(), "payload": event.payload},
    }
    fields = {"time": at(1).isoformat()} if form != "event" else {"event_type": CCX_PASSING}
    trial = try_text(viewer, row, json.dumps(forms[form]), **fields).context["trial"]
    assert (trial.event_type, trial.time, trial.words) == (PASSING, at(1), "The badge would be awarded.")


def test_a_time_makes_an_event_older_than_what_is_known(viewer):
    row, who = course_template(), lms_learner()
    deliver(passes(who, 5))
    failing = json.dumps(fails(who, 0).payload)
    assert "would be revoked" in text_of(try_text(viewer, row, failing))
    assert "already awarded" in text_of(try_text(viewer, row, failing, time=at(1).isoformat()))


def test_a_stored_event_is_tried_by_its_link(viewer):
    row, event = course_template(), passes(lms_learner(), 1)
    deliver(event)
    response = viewer.get(page(row), {"event": str(event.id)})
    shown = text_of(response)
    assert "already awarded" in shown
    assert "this very event has decided it already" in shown
    assert reverse("admin:pipeline_event_change", args=[event.id]) in shown
    assert json.loads(payload_field(response)) == event.payload


def test_the_events_page_links_to_trying_it_on_templates_of_its_type(viewer):
    row, other, event = course_template(), template(), passes(lms_learner(), 1)
    requirement(other, "ccx", type=CCX_PASSING)
    deliver(event)
    shown = viewer.get(reverse("admin:pipeline_event_change", args=[event.id])).content.decode()
    assert f'href="{page(row)}?event={event.id}"' in shown
    assert page(other) not in shown


def test_the_newest_stored_events_of_the_templates_types_are_offered(viewer):
    row, event = course_template(), passes(lms_learner(), 1)
    other = LmsEvent(CCX_PASSING, uuid4(), at(1), event.payload)
    received(event, other)
    shown = text_of(viewer.get(page(row)))
    assert f"{page(row)}?event={event.id}" in shown
    assert str(other.id) not in shown


@pytest.mark.parametrize("by", ["lms_user_id", "username", "email", "event"])
def test_stored_events_are_found_by_learner_or_id(viewer, by):
    row, event, other = course_template(), passes(lms_learner(), 1), passes(lms_learner(), 2)
    deliver(event, other)
    who = Learner.objects.get(lms_user_id=event.payload["user"]["id"])
    term = str(event.id) if by == "event" else str(getattr(who, by))
    shown = text_of(viewer.post(page(row), {"search": term, "action": "search"}))
    assert f"?event={event.id}" in shown
    assert str(other.id) not in shown


def test_a_search_that_finds_nothing_says_so(viewer):
    row = course_template()
    deliver(passes(lms_learner(), 1))
    for term in ("nobody", "9" * 40, str(uuid4())):
        assert "No stored event fits." in text_of(viewer.post(page(row), {"search": term, "action": "search"}))


def test_the_form_begins_with_the_event_that_the_first_requirement_asks_for(viewer):
    row = template()
    requirement(row, "math", PASSED, course(MATH))
    penalty(row, "failed", [row.requirements.get()], FAILED)
    payload = json.loads(payload_field(viewer.get(page(row))))
    assert (payload["is_passing"], payload["course"]["course_key"]) == (True, MATH)
    assert "would be awarded" in text_of(try_text(viewer, row, json.dumps(payload)))


def test_an_example_of_a_chosen_type_is_inserted(viewer):
    row = course_template()
    response = viewer.post(page(row), {"event_type": CCX_PASSING, "payload": "mine", "action": "example"})
    assert json.loads(payload_field(response))["course"]["ccx_course_key"].startswith("ccx-v1:")
    assert response.context["form"]["event_type"].value() == CCX_PASSING


# Wrong inputs


def test_what_is_no_json_is_refused_with_line_and_column(viewer):
    [error] = errors(try_text(viewer, course_template(), '{"is_passing": true,\n  "course" 5}'))
    assert error == "This is not JSON: line 2, column 12: Expecting ':' delimiter."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "required"),
        ("[]", "must be a JSON object"),
        ("5", "must be a JSON object"),
        ('{"a": NaN}', "NaN is no number"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "digits"),
        ('{"a": "\\ud800"}', "half of a character"),
        ('{"course_passing_status": 5}', "payload: must be a JSON object"),
        ('{"type": "x", "payload": []}', "payload: must be a JSON object"),
        ('{"type": "x"}', "payload: must be a JSON object"),
        ('{"type": 5, "payload": {}}', "type: must be the name"),
        ('{"type": "x", "payload": {}, "time": "now"}', "time: must be an ISO 8601 time with its zone"),
        ('{"type": "x", "payload": {}, "time": "2026-05-01T12:00:00"}', "time: must be an ISO 8601 time with its zone"),
        ('{"type": "x", "payload": {}, "time": "0001-01-01T00:00:00+23:00"}', "time: must be an ISO 8601 time"),
        ('{"type": "x", "payload": {}, "id": 5}', "id: must be a UUID"),
        ('{"type": "x", "payload": {}, "color": 5}', "color: is unknown; allowed: id, time, type, payload"),
    ],
)
def test_a_wrong_text_is_a_form_error_in_words(viewer, text, problem):
    [error] = errors(try_text(viewer, course_template(), text))
    assert problem in error


@pytest.mark.parametrize("time", ["soon", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00"])
def test_a_wrong_time_is_a_form_error(viewer, time):
    assert errors(try_text(viewer, course_template(), "{}", time=time), "time")


def test_an_unknown_event_type_is_a_form_error(viewer):
    assert errors(try_text(viewer, course_template(), "{}", event_type="org.example"), "event_type")


def test_what_would_be_refused_is_told_with_the_reason(viewer):
    row = course_template()
    assert "missing or malformed" in text_of(try_text(viewer, row, "{}"))
    assert "carry no UserData" in text_of(try_text(viewer, row, '{"type": "org.example", "payload": {}}'))
    later = (timezone.now() + timedelta(days=1)).isoformat()
    paid = json.dumps(passes(lms_learner(), 1).payload)
    assert "lies in the future" in text_of(try_text(viewer, row, paid, time=later))


def test_a_payload_that_no_event_could_have_is_pointed_out(viewer):
    payload = passes(lms_learner(), 1).payload | {"is_passing": "true"}
    shown = text_of(try_text(viewer, course_template(), json.dumps(payload)))
    assert "payload.is_passing: must be a boolean" in shown
    assert "&quot;true&quot;" in shown


def test_an_id_too_large_for_any_database_is_pointed_out(viewer):
    payload = passes(lms_learner(id=10**30), 1).payload
    assert "payload: does not fit" in text_of(try_text(viewer, course_template(), json.dumps(payload)))


@pytest.mark.parametrize("event", ["", "nonsense", "00000000-0000-4000-8000-000000000009"])
def test_an_event_that_is_not_stored_is_told(viewer, event):
    assert "No event with this id is stored" in text_of(viewer.get(page(course_template()), {"event": event}))


def test_an_event_that_could_not_be_read_is_told(viewer):
    event = Event.objects.create(id=uuid4(), type=PASSING, time=at(1), topic=TOPIC, raw=b"?", status="failed")
    assert "could not be read" in text_of(viewer.get(page(course_template()), {"event": str(event.pk)}))


def test_a_broken_template_is_told(viewer):
    row = course_template()
    RequirementRule.objects.update(operator="like")
    assert "it is broken" in text_of(try_text(viewer, row, json.dumps(passes(lms_learner(), 1).payload)))


@pytest.mark.parametrize("pk", ["0", "999999", "nonsense"])
def test_a_template_that_is_not_there_is_not_found(viewer, pk):
    assert viewer.get(f"/admin/pipeline/template/{pk}/try/").status_code == 404


def test_a_template_without_requirements_can_be_tried(viewer):
    assert "has no requirement" in text_of(try_text(viewer, template(), json.dumps(passes(lms_learner(), 1).payload)))


def test_without_any_event_type_the_page_still_answers(viewer, settings):
    settings.BADGES_CONFIG = settings.BADGES_CONFIG | {"events": []}
    assert viewer.get(page(template())).status_code == 200


# Safety


def test_trying_changes_nothing(viewer):
    row, who = course_template(), lms_learner()
    deliver(passes(who, 1))
    before = content()
    try_text(viewer, row, json.dumps(fails(who, 2).payload))
    viewer.get(page(row), {"event": str(Event.objects.get().pk)})
    viewer.post(page(row), {"search": who.username, "action": "search"})
    assert content() == before


def content() -> list[str]:
    models = apps.get_app_config("pipeline").get_models()
    return [serializers.serialize("json", model.objects.order_by("pk")) for model in models]


def test_who_may_not_see_events_and_learners_may_not_try():
    staff = client_of("designer")
    assert staff.get(page(course_template())).status_code == 403
    user = staff.get("/admin/").wsgi_request.user
    user.user_permissions.add(Permission.objects.get(codename="view_template"))
    assert staff.get(page(Template.objects.get())).status_code == 403


def test_a_stranger_is_asked_to_log_in():
    response = Client().get(page(course_template()))
    assert (response.status_code, "login" in response.url) == (302, True)


def test_trying_needs_the_token_against_forgery(viewer):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = viewer.cookies
    assert try_text(strict, course_template(), "{}").status_code == 403


def test_markup_in_an_event_is_shown_as_text(viewer):
    payload = passes(lms_learner(), 1).payload
    payload["course"]["course_key"] = "<script>alert(1)</script>"
    assert "<script>alert(1)" not in text_of(try_text(viewer, course_template(), json.dumps(payload)))


def test_the_page_costs_as_many_queries_for_many_events_and_requirements_as_for_few(viewer):
    costs = []
    viewer.get(page(template()))
    for number in (1, 15):
        row = template()
        for each in range(number):
            penalty(row, f"p{each}", [requirement(row, f"r{each}", PASSED)], FAILED)
            received(passes(lms_learner(), each))
        with CaptureQueriesContext(connection) as queries:
            try_text(viewer, row, json.dumps(passes(lms_learner(), 1).payload))
        costs.append(len(queries))
    assert costs[0] == costs[1]
