"""Badges of retired learners: Credly is told nothing of the retirement, and asked to issue nothing any more."""

import pytest

from pipeline.ledgers import retirement
from pipeline.models import Badge
from tests.stages.conftest import Site, issue

pytestmark = pytest.mark.django_db


def test_a_badge_that_is_not_issued_yet_fails_with_the_reason_and_credly_is_not_asked(site: Site):
    row = site.badge()
    retirement.retire(row.learner.lms_user_id)
    issue(row)
    assert row.credly_state == "failed"
    assert row.error == "The learner was retired, so there is no e-mail to issue the badge to."
    assert site.calls() == []


def test_a_badge_at_credly_stays_there_and_credly_is_told_nothing(site: Site):
    row = site.issued()
    before, calls = site.ledger(), len(site.calls(method=".*", path=".*"))
    retirement.retire(row.learner.lms_user_id)
    assert site.ledger() == before
    assert len(site.calls(method=".*", path=".*")) == calls


def test_the_badge_of_a_retired_learner_can_still_be_revoked(site: Site):
    row = site.issued()
    retirement.retire(row.learner.lms_user_id)
    Badge.objects.filter(pk=row.pk).update(standing="revoked")
    issue(row)
    assert row.credly_state == "revoked"
    assert site.live() == []
