"""Badges follow progress: opened, cancelled, restored, revoked, and opened again in the next cycle."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from pipeline import rules, stages
from pipeline.ledgers import holdings, inbox
from pipeline.models import Badge, CredlyState, Standing
from tests.ledgers.builders import (
    DEMO,
    MATH,
    PASSED,
    at,
    badge,
    claimed,
    course,
    course_template,
    deliver,
    fails,
    lms_learner,
    passes,
    requirement,
    template,
)

pytestmark = pytest.mark.django_db


def only_badge() -> Badge:
    return Badge.objects.get()


def at_credly(row: Badge, state: CredlyState) -> None:
    Badge.objects.filter(pk=row.pk).update(credly_state=state, due_at=None)


def test_the_event_that_completes_a_template_awards_its_badge():
    course_template()
    event = passes(lms_learner(), 5)
    changed = deliver(event)
    row = only_badge()
    assert changed == [row.pk]
    assert (row.standing, row.credly_state, row.cycle, row.earned_at) == ("awarded", "none", 1, at(5))
    assert row.due_at <= timezone.now()
    assert [(entry.what, entry.event) for entry in row.history.all()] == [("awarded", event.id)]


def test_every_group_is_needed_and_one_of_its_alternatives_is_enough():
    row = template()
    for slug, key, group in (("demo", DEMO, "A"), ("math", MATH, "A"), ("art", "course-v1:X+Art+1", "B")):
        requirement(row, slug, PASSED, course(key), group=group)
    who = lms_learner()
    assert deliver(passes(who, 1, DEMO), passes(who, 2, MATH)) == []
    assert len(deliver(passes(who, 3, "course-v1:X+Art+1"))) == 1
    assert only_badge().earned_at == at(3)


def test_a_second_event_of_the_same_kind_changes_no_badge():
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    assert deliver(passes(who, 2)) == []
    assert Badge.objects.count() == 1


def test_a_penalty_before_credly_saw_the_badge_leaves_nothing_to_issue():
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    assert deliver(fails(who, 2)) == [only_badge().pk]
    row = only_badge()
    assert (row.standing, row.credly_state) == ("revoked", "none")
    assert not row.signals.exists()


def test_a_badge_cancelled_before_credly_saw_it_is_restored_even_without_reaward():
    course_template(reaward=False)
    who = lms_learner()
    deliver(passes(who, 1), fails(who, 2))
    assert deliver(passes(who, 3)) == [only_badge().pk]
    row = only_badge()
    assert (row.standing, row.cycle, row.earned_at) == ("awarded", 1, at(3))


def test_a_badge_that_credly_holds_keeps_its_time_when_it_is_restored():
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    Badge.objects.update(credly_state=CredlyState.PENDING, credly_id=only_badge().uuid, due_at=None)
    deliver(fails(who, 2), passes(who, 3))
    assert (only_badge().standing, only_badge().earned_at) == ("awarded", at(1))


def test_a_penalty_that_leaves_an_alternative_revokes_nothing():
    row = course_template()
    row.requirements.update(group="A")
    requirement(row, "math", PASSED, course(MATH), group="A")
    who = lms_learner()
    deliver(passes(who, 1, DEMO), passes(who, 2, MATH))
    assert deliver(fails(who, 3, DEMO)) == []
    assert only_badge().standing == Standing.AWARDED


def test_a_penalty_without_a_badge_revokes_nothing():
    course_template()
    assert deliver(fails(lms_learner(), 1)) == []
    assert not Badge.objects.exists()


@pytest.mark.parametrize("state", [CredlyState.REVOKING, CredlyState.REVOKED])
def test_once_revocation_began_the_badge_comes_back_only_with_reaward_and_as_the_next_cycle(state):
    course_template(reaward=False, name="once")
    course_template(reaward=True, name="again")
    who = lms_learner()
    deliver(passes(who, 1), fails(who, 2))
    for row in Badge.objects.all():
        at_credly(row, state)
    deliver(passes(who, 3))
    standings = list(
        Badge.objects.order_by("template__name", "cycle").values_list("template__name", "cycle", "standing")
    )
    assert standings == [("again", 1, "revoked"), ("again", 2, "awarded"), ("once", 1, "revoked")]


def test_a_badge_that_credly_refused_is_tried_again_when_it_is_restored():
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    at_credly(only_badge(), CredlyState.FAILED)
    deliver(fails(who, 2), passes(who, 3))
    assert (only_badge().standing, only_badge().credly_state) == ("awarded", "none")


def test_a_deactivated_template_keeps_its_badges_and_takes_no_further_part():
    row = course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    row.active = False
    row.save()
    assert deliver(fails(who, 2)) == []
    assert only_badge().standing == Standing.AWARDED


def test_learners_do_not_share_badges():
    course_template()
    dana, eli = lms_learner(), lms_learner()
    deliver(passes(dana, 1), passes(eli, 2), fails(eli, 3))
    standings = dict(Badge.objects.values_list("learner__lms_user_id", "standing"))
    assert standings == {dana.id: "awarded", eli.id: "revoked"}


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"cycle": 1, "standing": Standing.REVOKED}, id="the same cycle"),
        pytest.param({"cycle": 2}, id="a second awarded badge"),
        pytest.param(
            {"cycle": 2, "standing": Standing.REVOKED, "credly_state": CredlyState.ISSUING}, id="a second live badge"
        ),
    ],
)
def test_the_database_itself_refuses_what_may_not_be(second):
    first = badge(credly_state=CredlyState.PENDING)
    with pytest.raises(IntegrityError), transaction.atomic():
        badge(learner=first.learner, template=first.template, **second)


def test_of_two_events_the_newer_decides_in_whatever_order_they_come():
    course_template()
    early, late = lms_learner(), lms_learner()
    deliver(passes(early, 1), fails(early, 2))
    deliver(fails(late, 2), passes(late, 1))
    held = Badge.objects.filter(standing=Standing.AWARDED)
    assert not held.exists()


def test_without_that_rule_the_order_would_decide(monkeypatch):
    """The control of the test above."""
    monkeypatch.setattr(rules.progress, "supersedes", lambda new, old: True)
    course_template()
    late = lms_learner()
    deliver(fails(late, 2), passes(late, 1))
    assert only_badge().standing == Standing.AWARDED


def answer_lost(row: Badge) -> None:
    """Credly was asked to issue it and gave no answer: what it did may show only later."""
    until = timezone.now() + timedelta(seconds=10)
    holdings.postponed(claimed(row), CredlyState.ISSUING, "no answer", until)


@pytest.mark.parametrize("minds", [1, 2], ids=["revoked", "revoked and restored"])
def test_no_event_brings_a_look_up_forward_that_waits_for_the_effect_of_a_lost_call(minds):
    """Sooner, Credly might not show the badge, and where the template allows duplicates a second one would be issued."""
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    answer_lost(only_badge())
    waits_until = only_badge().due_at
    deliver(*[fails(who, 2), passes(who, 3)][:minds])
    assert only_badge().due_at == waits_until


def revocation_refused(who) -> Badge:
    """The learner passed, failed, and passed while Credly was being asked to revoke; then Credly refused to."""
    course_template(reaward=False)
    deliver(passes(who, 1))
    row = only_badge()
    holdings.held(claimed(row), row.uuid, CredlyState.PENDING, "issued")
    deliver(fails(who, 2))
    claim = claimed(row)
    deliver(passes(who, 3, id=row.uuid))
    holdings.failed(claim, "Credly says: no.")
    assert (only_badge().standing, only_badge().credly_state) == ("revoked", "failed")
    return row


def test_a_replayed_event_does_not_give_back_a_badge_that_credly_refused_to_revoke():
    row = revocation_refused(lms_learner())
    assert inbox.replay([row.uuid]) == [row.uuid]
    assert stages.persist([row.uuid]) == []
    assert (only_badge().standing, only_badge().credly_state) == ("revoked", "failed")


def test_a_newer_event_gives_back_a_badge_that_credly_refused_to_revoke():
    who = lms_learner()
    revocation_refused(who)
    deliver(passes(who, 4))
    assert (only_badge().standing, only_badge().credly_state) == ("awarded", "pending")


def test_a_badge_that_was_set_aside_without_a_result_is_looked_up_when_it_is_restored():
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    Badge.objects.update(credly_state=CredlyState.FAILED, taken_up=4, due_at=None)
    deliver(fails(who, 2), passes(who, 3))
    assert (only_badge().standing, only_badge().credly_state) == ("awarded", "issuing")


def test_a_badge_that_was_set_aside_and_held_back_is_looked_up_at_once_when_it_is_restored():
    """When it is due goes by its state before, on every database (docs/decisions/0026-mysql.md)."""
    course_template()
    who = lms_learner()
    deliver(passes(who, 1))
    Badge.objects.update(credly_state=CredlyState.FAILED, taken_up=4, due_at=None)
    deliver(fails(who, 2))
    holdings.hold_back(only_badge(), timezone.now() + timedelta(minutes=10), holdings.GATE_CLOSED)
    deliver(passes(who, 3))
    assert only_badge().due_at <= timezone.now()
