"""An operator revokes a badge and gives it back: what Credly holds in the end, whatever workers do meanwhile."""

import pytest

from pipeline import stages
from pipeline.ledgers import holdings, interventions
from pipeline.models import Badge, CredlyState
from tests.ledgers.builders import claimed, deliver, ended_claim, lms_learner, make_due, passes, signals
from tests.ledgers.races import race
from tests.stages.conftest import issue

pytestmark = pytest.mark.django_db

WHO = "olga"


def reread(row: Badge) -> Badge:
    return Badge.objects.get(pk=row.pk)


def issued(site) -> Badge:
    """A badge that a learner earned and Credly holds."""
    deliver(passes(lms_learner(), 1))
    row = Badge.objects.get()
    issue(row)
    assert row.credly_state == "pending"
    return row


def test_the_reason_arrives_at_credly(site):
    row = issued(site)
    interventions.revoke(row, "Cheated in the exam.", WHO)
    issue(row)
    [at_credly] = site.ledger()
    assert (at_credly["state"], at_credly["revocation_reason"]) == ("revoked", "Cheated in the exam.")
    assert signals(row) == ["awarded", "revoked"]


@pytest.mark.parametrize("reaward", [True, False])
def test_left_to_the_rules_again_credly_holds_a_new_badge(site, reaward):
    site.template.reaward = reaward
    site.template.save()
    row = issued(site)
    interventions.revoke(row, "By mistake.", WHO)
    issue(row)
    [again] = interventions.release(reread(row), WHO).badges
    issue(Badge.objects.get(pk=again))
    assert [badge["state"] for badge in site.ledger()] == ["revoked", "pending"]
    assert Badge.objects.get(pk=again).cycle == 2


def test_left_to_the_rules_before_credly_was_called_the_learner_never_notices(site):
    row = issued(site)
    interventions.revoke(row, "By mistake.", WHO)
    interventions.release(reread(row), WHO)
    issue(row)
    assert (len(site.live()), signals(row), site.calls("PUT", "/revoke$")) == (1, ["awarded"], [])


@pytest.mark.django_db(transaction=True)
def test_an_operator_who_revokes_while_workers_issue_leaves_nothing_at_credly(site):
    row = site.badge()

    def work():
        stages.issue(row.pk)
        interventions.revoke(row, "By mistake.", WHO)
        stages.issue(row.pk)

    race(work)
    for _ in range(5):
        ended_claim(row)
        if reread(row).due_at is not None:
            make_due(row)
            issue(row)
    now = reread(row)
    assert (now.standing, now.due_at, site.live()) == ("revoked", None, [])
    assert signals(row) in ([], ["awarded", "revoked"])


@pytest.mark.django_db(transaction=True)
def test_an_operator_who_revokes_while_the_call_is_out_has_the_badge_revoked_after_it(site):
    """The worker has claimed the badge and calls; the answer comes when it is wanted no more."""
    row = site.badge()
    claim = claimed(row)
    site.academy.issued(
        issuer_earner_id=str(row.learner.lms_user_id),
        recipient_email=row.learner.email,
    )
    interventions.revoke(row, "Cheated.", WHO)
    [held] = site.live()
    done = holdings.held(claim, held["id"], CredlyState.PENDING, "issued")
    assert done.badges == [row.pk]
    issue(row)
    [at_credly] = site.ledger()
    assert (at_credly["state"], at_credly["revocation_reason"], signals(row)) == (
        "revoked",
        "Cheated.",
        ["awarded", "revoked"],
    )
