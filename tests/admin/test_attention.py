"""Templates that Credly takes out of use: nobody here did it, so somebody must be told."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from pipeline.admin.attention import Finding, findings
from pipeline.configuration.syncing import withdraw
from pipeline.ledgers import observations
from pipeline.models import Badge, CredlyState, Template, TemplateState
from tests.admin.pages import listed, page_url, text
from tests.ledgers.builders import (
    DEMO,
    MATH,
    PASSED,
    course,
    course_template,
    deliver,
    lms_learner,
    passes,
    requirement,
    template,
)

pytestmark = pytest.mark.django_db

WITHDRAWN = "Templates that Credly withdrew"
HELD = "Templates withdrawn in 30 days that learners hold"
NOT_HERE = "Templates active at Credly, but not here"


def begun() -> Template:
    """A template to whose badge two learners are on the way."""
    row = template()
    requirement(row, "demo", PASSED, course(DEMO))
    requirement(row, "math", PASSED, course(MATH))
    deliver(passes(lms_learner(), 1), passes(lms_learner(), 2))
    return row


def held() -> Template:
    """A template whose badge its only learner holds."""
    row = course_template()
    deliver(passes(lms_learner(), 1))
    Badge.objects.filter(template=row).update(credly_state=CredlyState.ACCEPTED, due_at=None)
    return row


def found() -> dict[str, Finding]:
    return {str(finding.title): finding for finding in findings()}


def shown(client: Client, finding: Finding) -> list[int]:
    """The rows of the list that a finding leads to."""
    answer: Any = client.get(finding.url)
    assert answer.status_code == 200
    return [row.pk for row in answer.context["cl"].result_list]


@pytest.mark.parametrize("state", [TemplateState.ARCHIVED, TemplateState.DRAFT])
def test_a_withdrawn_template_is_urgent_while_learners_are_on_the_way(viewer: Client, state):
    row, held_by_all, untouched = begun(), held(), template()
    for each in (row, held_by_all, untouched):
        withdraw(each, state, "for the test")
    told = found()
    assert set(told) == {WITHDRAWN, HELD}
    assert (told[WITHDRAWN].number, told[WITHDRAWN].urgent) == (1, True)
    assert shown(viewer, told[WITHDRAWN]) == [row.pk]
    assert (told[HELD].number, told[HELD].urgent) == (1, False)
    assert shown(viewer, told[HELD]) == [held_by_all.pk]


def test_a_badge_revoked_by_a_person_leaves_its_learner_on_the_way():
    row = held()
    observations.gone(_with_id(Badge.objects.get()), "revoked at Credly", "webhook")
    withdraw(row, TemplateState.ARCHIVED, "for the test")
    assert set(found()) == {WITHDRAWN}


def test_a_withdrawal_that_only_holders_remember_is_not_told_for_ever():
    row = held()
    withdraw(row, TemplateState.ARCHIVED, "for the test")
    Template.objects.update(synced_at=timezone.now() - timedelta(days=31))
    assert found() == {}


def test_a_template_that_credly_has_active_again_is_told_until_it_is_active_here(viewer: Client):
    row, held_by_all = begun(), held()
    Template.objects.update(active=False, state=TemplateState.ACTIVE)
    told = found()
    assert set(told) == {NOT_HERE}
    assert (told[NOT_HERE].number, told[NOT_HERE].urgent) == (1, False)
    assert "then run the kept events through it" in str(told[NOT_HERE].advice)
    assert shown(viewer, told[NOT_HERE]) == [row.pk]
    assert listed(viewer, Template, learners="holding") == [held_by_all.pk]


def test_a_withdrawn_templates_page_says_who_switched_it_off_and_when(viewer: Client):
    row = begun()
    assert "Deactivated because" not in text(viewer.get(page_url(row)))
    withdraw(row, TemplateState.ARCHIVED, "for the test")
    page = text(viewer.get(page_url(row)))
    assert "Deactivated because Credly calls it archived (synced " in page
    assert "2 learners are on the way to this badge, 0 learners hold it." in page


def _with_id(row: Badge) -> Badge:
    row.credly_id = row.uuid
    row.save(update_fields=["credly_id"])
    return row
