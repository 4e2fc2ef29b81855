"""What operators do to badges: under the learner's lock, recorded, and never against what Credly may hold."""

from datetime import timedelta

import pytest
from django.utils import timezone

from pipeline.ledgers import holdings, interventions
from pipeline.ledgers.interventions import Recheck, Release, Released
from pipeline.ledgers.steps import Step
from pipeline.models import Badge, BadgeHistory, CredlyState, RevokedBy, Template
from tests.ledgers.builders import (
    badge,
    claimed,
    course_template,
    deliver,
    fails,
    held_badge,
    lms_learner,
    passes,
    signals,
)
from tests.ledgers.races import race

pytestmark = pytest.mark.django_db

WHO = "olga"


def earned(**fields) -> Badge:
    """A badge that a learner earned by passing the course, not issued yet."""
    course_template(**fields)
    deliver(passes(lms_learner(), 1))
    return Badge.objects.get()


def reread(row: Badge) -> Badge:
    return Badge.objects.get(pk=row.pk)


def at_credly(row: Badge, state: CredlyState) -> Badge:
    Badge.objects.filter(pk=row.pk).update(credly_state=state, credly_id=row.uuid, due_at=None)
    return reread(row)


def by_hand(row: Badge) -> list[tuple[str, str]]:
    return list(row.history.filter(actor=WHO).values_list("what", "outcome"))


def test_a_badge_that_waits_is_due_now():
    row = badge(due_at=timezone.now() + timedelta(hours=1), nudged_at=timezone.now())
    assert interventions.retry(row, WHO)
    assert reread(row).due_at <= timezone.now()
    assert reread(row).nudged_at is None
    assert by_hand(row) == [("retry", "asked for")]


def test_a_failed_badge_is_tried_again():
    row = badge(credly_state="failed", due_at=None, attempts=3)
    assert interventions.retry(row, WHO)
    assert (reread(row).credly_state, reread(row).attempts) == ("none", 0)
    assert by_hand(row) == [("retry", "asked for")]


@pytest.mark.parametrize("fields", [{}, {"due_at": None, "credly_state": "accepted"}], ids=["due already", "at rest"])
def test_a_badge_with_nothing_to_retry_is_left_alone_and_gets_no_history(fields):
    row = badge(**fields)
    assert not interventions.retry(row, WHO)
    assert not row.history.exists()


def test_a_badge_on_which_a_worker_is_at_work_is_not_retried():
    row = badge()
    claimed(row)
    Badge.objects.filter(pk=row.pk).update(due_at=timezone.now() + timedelta(hours=1))
    assert not interventions.retry(reread(row), WHO)


def test_a_lost_answer_gets_the_time_to_show_its_effect_before_it_is_retried():
    row = badge()
    holdings.postponed(claimed(row), CredlyState.ISSUING, "no answer", timezone.now() + timedelta(hours=1))
    assert interventions.retry(reread(row), WHO)
    wait = reread(row).due_at - timezone.now()
    assert holdings.SURELY_EFFECTIVE - timedelta(seconds=10) < wait <= holdings.SURELY_EFFECTIVE
    assert not interventions.retry(reread(row), WHO)


def test_revoking_names_the_operator_and_the_reason_and_no_event_gives_the_badge_back():
    template = course_template(reaward=True)
    who = lms_learner()
    deliver(passes(who, 1))
    row = at_credly(Badge.objects.get(template=template), CredlyState.ACCEPTED)
    assert interventions.revoke(row, "Cheated in the exam.", WHO)
    now = reread(row)
    assert (now.standing, now.revoked_by, now.revocation_reason) == ("revoked", "operator", "Cheated in the exam.")
    assert now.due_at <= timezone.now()
    assert by_hand(row) == [("revoked", "by an operator: Cheated in the exam.")]
    assert deliver(fails(who, 2), passes(who, 3)) == []
    assert not interventions.revoke(row, "again", WHO)
    assert reread(row).revocation_reason == "Cheated in the exam."


def test_revoking_what_credly_never_saw_cancels_it_without_a_signal():
    row = earned()
    assert interventions.revoke(row, "By mistake.", WHO)
    assert holdings.due(row.pk) is None
    now = reread(row)
    assert (now.standing, now.credly_state, now.due_at, signals(now)) == ("revoked", "none", None, [])


def test_revoking_what_credly_refused_to_issue_leaves_no_failure_behind():
    row = badge(credly_state="failed", error="Credly says: no.", due_at=None)
    interventions.revoke(row, "By mistake.", WHO)
    assert (reread(row).credly_state, reread(row).error) == ("none", "")


def test_revoking_what_credly_may_hold_though_a_call_failed_looks_there_again():
    row = at_credly(badge(), CredlyState.FAILED)
    interventions.revoke(row, "By mistake.", WHO)
    assert holdings.claim(holdings.due(row.pk)).step is Step.LOOK_UP_THEN_REVOKE


@pytest.mark.parametrize("reaward", [True, False])
def test_before_revoking_began_the_rules_take_the_revocation_back(reaward):
    row = at_credly(earned(reaward=reaward), CredlyState.PENDING)
    interventions.revoke(row, "By mistake.", WHO)
    released = interventions.release(reread(row), WHO)
    assert (released.release, released.badges) == (Release.AWARDED, [row.pk])
    now = reread(row)
    assert (now.standing, now.revoked_by, now.revocation_reason, now.credly_state) == ("awarded", "", "", "pending")
    assert Badge.objects.count() == 1


@pytest.mark.parametrize("by", [RevokedBy.OPERATOR, RevokedBy.CREDLY])
@pytest.mark.parametrize("reaward", [True, False])
def test_after_revoking_the_rules_award_the_next_cycle_even_without_reaward(reaward, by):
    row = at_credly(earned(reaward=reaward), CredlyState.REVOKED)
    Badge.objects.update(standing="revoked", revoked_by=by, revocation_reason="By mistake.")
    released = interventions.release(reread(row), WHO)
    again = Badge.objects.get(cycle=2)
    assert (released.release, released.badges) == (Release.AWARDED, [again.pk])
    assert (again.standing, again.earned_at, again.history.get().event) == (
        "awarded",
        row.earned_at,
        row.history.first().event,
    )
    assert reread(row).revocation_reason == "By mistake."
    assert by_hand(row) == [("left to the rules", "")]


def set_active(active: bool) -> None:
    template = Template.objects.get()
    template.active = active
    template.save()


@pytest.mark.parametrize("state", [CredlyState.PENDING, CredlyState.REVOKED], ids=["before", "after revoking"])
@pytest.mark.parametrize("reaward", [True, False])
def test_where_the_template_is_not_complete_now_nothing_changes_and_the_rules_can_be_asked_again(reaward, state):
    course_template(reaward=reaward)
    who = lms_learner()
    deliver(passes(who, 1))
    row = at_credly(Badge.objects.get(), state)
    interventions.revoke(row, "Cheated.", WHO)
    deliver(fails(who, 2))
    before = Badge.objects.values().get()
    assert interventions.release(reread(row), WHO) == Released(Release.NOT_COMPLETE)
    assert Badge.objects.values().get() == before
    assert [what for what, _ in by_hand(row)] == ["revoked"]
    assert deliver(passes(who, 3)) == []
    released = interventions.release(reread(row), WHO)
    assert (released.release, len(released.badges)) == (Release.AWARDED, 1)
    assert Badge.objects.get(standing="awarded").pk == released.badges[0]


@pytest.mark.parametrize("state", [CredlyState.PENDING, CredlyState.REVOKED], ids=["before", "after revoking"])
def test_while_the_template_is_inactive_nothing_changes_and_the_rules_can_be_asked_again(state):
    row = at_credly(earned(reaward=False), state)
    interventions.revoke(row, "Cheated.", WHO)
    set_active(False)
    before = Badge.objects.values().get()
    assert interventions.release(reread(row), WHO) == Released(Release.TEMPLATE_INACTIVE)
    assert Badge.objects.values().get() == before
    set_active(True)
    assert interventions.release(reread(row), WHO).release is Release.AWARDED


def test_a_badge_that_no_person_revoked_is_not_released():
    course_template()
    who = lms_learner()
    deliver(passes(who, 1), fails(who, 2))
    assert interventions.release(Badge.objects.get(), WHO).release is Release.NOTHING
    assert not BadgeHistory.objects.filter(actor=WHO).exists()


def test_a_second_release_awards_nothing_more():
    row = at_credly(earned(), CredlyState.REVOKED)
    Badge.objects.update(standing="revoked", revoked_by=RevokedBy.OPERATOR)
    interventions.release(reread(row), WHO)
    assert interventions.release(reread(row), WHO).release is Release.NOTHING
    assert Badge.objects.count() == 2


def test_a_re_check_is_asked_for_where_credly_has_an_id():
    row = held_badge()
    assert interventions.recheck(row, WHO) is Recheck.LOOKS
    assert by_hand(row) == [("re-check", "asked for")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Recheck.NOTHING),
        ({"credly_state": "failed", "due_at": None}, Recheck.TRIES_AGAIN),
        ({"credly_state": "issuing", "due_at": timezone.now() + timedelta(hours=1)}, Recheck.TRIES_AGAIN),
        ({"credly_state": "none", "standing": "revoked", "due_at": None}, Recheck.NOTHING),
    ],
)
def test_without_an_id_a_re_check_tries_again_what_credly_was_asked_for(fields, expected):
    assert interventions.recheck(badge(**fields), WHO) is expected


@pytest.mark.django_db(transaction=True)
def test_of_many_operators_at_once_one_revokes():
    row = held_badge()
    assert sorted(race(lambda: interventions.revoke(row, "By mistake.", WHO))) == [False] * 7 + [True]
    assert len(by_hand(row)) == 1


def test_revoking_does_not_bring_forward_a_look_up_that_waits_for_the_effect_of_a_lost_call():
    row, until = earned(), timezone.now() + timedelta(seconds=10)
    holdings.postponed(claimed(row), CredlyState.ISSUING, "no answer", until)
    assert interventions.revoke(row, "By mistake.", WHO)
    assert reread(row).due_at == until


def test_revoking_what_was_set_aside_without_a_result_looks_at_credly_first():
    row = badge(credly_state="failed", taken_up=4, due_at=None)
    interventions.revoke(row, "By mistake.", WHO)
    assert holdings.claim(holdings.due(row.pk)).step is Step.LOOK_UP_THEN_CANCEL
