"""The buttons on a learner's page that export and retire: for operators, confirmed, and logged without names."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from pipeline.ledgers import retirement
from pipeline.models import Learner
from pipeline.reports.export import learner_export
from tests.ledgers.people import mina, naming, story

pytestmark = pytest.mark.django_db


@pytest.fixture
def learner() -> Learner:
    who = mina()
    story(who)
    return Learner.objects.get(lms_user_id=who.id)


def page(learner: Learner, name: str) -> str:
    return reverse(f"admin:pipeline_learner_{name}", args=[learner.pk])


def test_operators_find_both_buttons_on_the_page_and_viewers_none(operator: Client, viewer: Client, learner: Learner):
    for client, expected in ((operator, True), (viewer, False)):
        text = client.get(page(learner, "change")).content.decode()
        assert (page(learner, "retire") in text) is expected
        assert (page(learner, "export") in text) is expected


@pytest.mark.parametrize("name", ["retire", "export"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_viewers_and_strangers_can_do_neither(viewer: Client, learner: Learner, name: str, method: str):
    assert getattr(viewer, method)(page(learner, name)).status_code == 403
    assert getattr(Client(), method)(page(learner, name)).status_code == 302
    assert naming()
    assert Learner.objects.get(pk=learner.pk).retired_at is None


def test_asking_says_what_will_happen_and_changes_nothing(operator: Client, learner: Learner):
    text = operator.get(page(learner, "retire")).content.decode()
    assert "3 stored events about the learner" in text
    assert "Credly is told nothing" in text
    title = text.partition("<title>")[2].partition("</title>")[0]
    assert f"Retire learner {learner.lms_user_id}" in title
    assert learner.username not in title
    assert Learner.objects.get(pk=learner.pk).retired_at is None


def test_confirming_retires_and_tells_and_logs_it_without_names(operator: Client, learner: Learner):
    answer = operator.post(page(learner, "retire"), follow=True)
    assert answer.redirect_chain == [(page(learner, "change"), 302)]
    assert "The learner is retired. Changed: events 5, signals 1, other texts 8" in answer.content.decode()
    assert naming() == {}
    entry = LogEntry.objects.get(user__username="operator")
    assert (entry.object_id, entry.object_repr) == (str(learner.pk), f"learner {learner.lms_user_id}")
    assert "Changed: events 5" in entry.get_change_message()


def test_retiring_needs_the_token_of_the_page(learner: Learner, operator: Client):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(page(learner, "retire")).status_code == 403
    assert naming()


def test_the_page_of_a_retired_learner_says_so_and_retiring_again_is_harmless(operator: Client, learner: Learner):
    retirement.retire(learner.lms_user_id)
    assert "This learner was retired on" in operator.get(page(learner, "retire")).content.decode()
    answer = operator.post(page(learner, "retire"), follow=True)
    assert "Changed: events 0, signals 0, other texts 0" in answer.content.decode()


def test_the_export_is_a_file_that_no_cache_keeps_and_its_download_is_logged(operator: Client, learner: Learner):
    answer: Any = operator.get(page(learner, "export"))
    assert json.loads(answer.content) == learner_export(learner.lms_user_id)
    assert answer["Content-Disposition"] == f'attachment; filename="learner-{learner.lms_user_id}.json"'
    assert "no-store" in answer["Cache-Control"]
    assert LogEntry.objects.get(user__username="operator").get_change_message() == "Exported the learner's data."


@pytest.mark.parametrize("name", ["retire", "export"])
@pytest.mark.parametrize("key", ["987654", "x"])
def test_a_learner_that_is_not_there_is_not_found(operator: Client, name: str, key: str):
    assert operator.get(reverse(f"admin:pipeline_learner_{name}", args=[key])).status_code == 404
