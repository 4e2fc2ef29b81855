"""Why does, or doesn't, this learner hold this badge?  Each answer, from what the ledgers hold."""

from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline.ledgers import holdings, interventions, observations
from pipeline.lms.events import LmsEvent, LmsLearner
from pipeline.models import Badge, CredlyState, Learner, Requirement, Template
from pipeline.reports.cases import cases_of
from pipeline.reports.explanation import Explanation, Verdict, explain
from pipeline.reports.phrases import moment
from tests.ledgers.builders import (
    DEMO,
    FAILED,
    MATH,
    PASSED,
    at,
    claimed,
    course,
    course_template,
    deliver,
    fails,
    lms_learner,
    passes,
    penalty,
    requirement,
    template,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana() -> LmsLearner:
    return lms_learner()


def explained(who: LmsLearner) -> Explanation:
    """The explanation of the only template that the learner has begun."""
    [case] = cases_of(Learner.objects.get(lms_user_id=who.id))
    return explain(case)


def earned(who: LmsLearner) -> tuple[LmsEvent, Badge]:
    """The learner passes the course."""
    event = passes(who, 1)
    deliver(event)
    return event, Badge.objects.get(learner__lms_user_id=who.id)


def issued(who: LmsLearner) -> tuple[LmsEvent, Badge]:
    """The learner passes the course, and Credly issues the badge."""
    event, badge = earned(who)
    holdings.held(claimed(badge), uuid4(), CredlyState.PENDING, "issued")
    badge.refresh_from_db()
    return event, badge


def withdrawn(badge: Badge) -> None:
    """Credly revokes the badge."""
    holdings.withdrawn(claimed(badge), "revoked at Credly")


def test_a_held_badge_names_its_event_and_that_the_learner_has_not_accepted_yet(dana):
    course_template()
    event, badge = issued(dana)
    told = explained(dana)
    awarded, signal = badge.history.get(what="awarded"), badge.signals.get()
    assert (told.verdict, told.event) == (Verdict.HOLDS, event.id)
    assert told.text == (
        f'Holds "Intro Course": awarded {moment(awarded.at)} by event {event.id}, '
        f"issued at Credly {moment(signal.created_at)}, not accepted by the learner yet."
    )


@pytest.mark.parametrize(
    ("state", "words"), [(CredlyState.ACCEPTED, "accepted"), (CredlyState.REJECTED, "declined by the learner")]
)
def test_a_held_badge_says_what_the_learner_did_with_it(dana, state, words):
    course_template()
    _, badge = issued(dana)
    observations.held(badge, state, "webhook")
    told = explained(dana)
    assert told.verdict == Verdict.HOLDS
    assert told.text.endswith(f", {words} {moment(badge.history.get(what='webhook').at)}.")


def test_a_badge_on_its_way_is_waiting(dana):
    course_template()
    earned(dana)
    told = explained(dana)
    assert told.verdict == Verdict.WAITING
    assert told.text.endswith("but Credly does not hold it yet: its turn comes within seconds.")


def test_a_badge_that_is_tried_again_says_why_and_when(dana):
    course_template()
    _, badge = earned(dana)
    until = timezone.now()
    holdings.postponed(claimed(badge), CredlyState.NONE, "Credly asked for fewer calls.", until)
    told = explained(dana)
    assert told.verdict == Verdict.WAITING
    assert f"Credly asked for fewer calls; next try {moment(until)}, tries so far: 1." in told.text


def test_a_badge_of_an_organization_with_a_dead_key_waits_for_the_key(dana):
    row = course_template()
    earned(dana)
    row.organization.gate_reason, row.organization.gate_closed_at = "key refused", at(5)
    row.organization.save()
    told = explained(dana)
    assert told.verdict == Verdict.WAITING
    assert f"Credly refuses the organization's key, or there is none, since {moment(at(5))}" in told.text


@pytest.mark.parametrize(
    ("reason", "words"), [("failing", "Credly fails"), ("throttled", "Credly asked for fewer calls")]
)
def test_a_badge_of_an_organization_that_must_not_be_called_says_why_and_until_when(dana, reason, words):
    row = course_template()
    earned(dana)
    row.organization.gate_reason, row.organization.call_again_at = reason, at(5)
    row.organization.save()
    told = explained(dana)
    assert told.verdict == Verdict.WAITING
    assert f"Credly is not called for the organization ({words}), next try {moment(at(5))}" in told.text


def test_a_refused_badge_tells_credlys_words_and_what_to_do(dana):
    course_template()
    _, badge = earned(dana)
    holdings.failed(claimed(badge), "Credly says: the template is archived")
    told = explained(dana)
    assert told.verdict == Verdict.FAILED
    assert told.text.endswith("not issued. Credly says: the template is archived. Retry on the badge's page.")


def test_what_is_missing_is_told_by_groups(dana):
    row = course_template()
    requirement(row, "math", PASSED, course(MATH), group="B")
    requirement(row, "physics", PASSED, course(MATH), PASSED, group="B")
    requirement(row, "thesis", PASSED, course("course-v1:Org+Thesis+2026"))
    requirement(row, "talk", PASSED, course("course-v1:Org+Talk+2026"), group="C")
    deliver(passes(dana, 1))
    told = explained(dana)
    assert told == Explanation(
        Verdict.MISSING,
        'Does not hold "Intro Course": group B is missing: one of "math", "physics"; requirement "thesis" is missing; '
        'group C is missing: "talk".',
    )


def test_what_was_taken_back_names_the_penalty_and_its_event(dana):
    course_template()
    event = fails(dana, 2)
    deliver(event)
    told = explained(dana)
    assert told.verdict == Verdict.MISSING
    assert told.text == (
        f'Does not hold "Intro Course": requirement "demo" (taken back {moment(at(2))} by penalty "demo-failed", '
        f"matched by event {event.id}) is missing."
    )


def test_a_template_that_is_not_active_says_that_no_event_counts(dana):
    row = course_template()
    deliver(fails(dana, 1))
    row.active = False
    row.save()
    assert explained(dana).text.endswith("The template is not active, so no event counts now.")


def test_a_template_that_lost_its_requirements_says_so(dana):
    course_template()
    deliver(fails(dana, 1))
    Requirement.objects.all().delete()
    assert explained(dana).text == 'Does not hold "Intro Course": the template has no requirements.'


def test_a_learner_made_complete_by_a_change_of_the_template_waits_for_an_event(dana):
    row = course_template()
    math = requirement(row, "math", PASSED, course(MATH))
    deliver(passes(dana, 1))
    math.delete()
    told = explained(dana)
    assert told.verdict == Verdict.MISSING
    assert told.text.endswith(
        "only since the template was changed. The next event that meets a rule of it awards the badge; "
        "so does a backfill, if one is kept."
    )
    row.active = False
    row.save()
    assert explained(dana).text.endswith(
        "only since the template was changed. The template is not active, so no event counts now."
    )


def test_a_lost_badge_names_the_penalty_and_its_event_and_when_credly_revoked_it(dana):
    course_template()
    _, badge = issued(dana)
    failing = fails(dana, 2)
    deliver(failing)
    withdrawn(badge)
    told = explained(dana)
    revoked = badge.history.get(what="revoked")
    assert (told.verdict, told.event) == (Verdict.LOST, failing.id)
    assert told.text == (
        f'Lost "Intro Course": revoked {moment(revoked.at)} by penalty "demo-failed", matched by event {failing.id}. '
        f"Credly revoked it {moment(badge.signals.last().created_at)}. This template awards a badge only once."
    )


def test_a_badge_cancelled_before_credly_held_it_says_so_and_how_to_get_it(dana):
    course_template()
    earned(dana)
    deliver(fails(dana, 2))
    told = explained(dana)
    assert told.verdict == Verdict.LOST
    assert 'Credly never held it. To hold it again: requirement "demo" (taken back' in told.text


def test_a_revocation_that_credly_has_not_seen_yet_says_that_it_may_still_show_the_badge(dana):
    course_template()
    issued(dana)
    deliver(fails(dana, 2))
    assert "Credly may still show it: its turn comes within seconds." in explained(dana).text


def test_a_revocation_that_credly_refused_is_failed(dana):
    course_template()
    _, badge = issued(dana)
    deliver(fails(dana, 2))
    holdings.failed(claimed(badge), "Credly says: not yours")
    told = explained(dana)
    assert told.verdict == Verdict.FAILED
    assert "Credly still holds it and did not revoke it: Credly says: not yours. Retry" in told.text


def test_a_badge_that_credly_refused_and_the_rules_revoked_is_lost_and_was_never_held(dana):
    course_template()
    _, badge = earned(dana)
    holdings.failed(claimed(badge), "Credly says: archived")
    deliver(fails(dana, 2))
    told = explained(dana)
    assert told.verdict == Verdict.LOST
    assert "Credly never held it: Credly says: archived." in told.text


def test_a_badge_fulfilled_again_after_its_revocation_says_that_it_is_awarded_once(dana):
    course_template()
    _, badge = issued(dana)
    deliver(fails(dana, 2))
    withdrawn(badge)
    deliver(passes(dana, 3))
    told = explained(dana)
    assert told.verdict == Verdict.LOST
    assert told.text.startswith('Lost "Intro Course": revoked')
    assert told.text.endswith("This template awards a badge only once.")


def test_of_a_badge_awarded_again_the_last_cycle_counts(dana):
    course_template(reaward=True)
    _, badge = issued(dana)
    deliver(fails(dana, 2))
    withdrawn(badge)
    again = passes(dana, 3)
    assert "To hold it again: requirement" in explained(dana).text
    deliver(again)
    told = explained(dana)
    assert (told.verdict, told.event) == (Verdict.WAITING, again.id)


def test_a_badge_that_an_operator_revoked_names_them_and_the_reason(dana):
    course_template()
    _, badge = issued(dana)
    interventions.revoke(badge, "Cheated in the exam.", "olga")
    told = explained(dana)
    at = moment(badge.history.get(what="revoked").at)
    assert (told.verdict, told.event) == (Verdict.LOST, None)
    assert told.text.startswith(f'Revoked by operator olga: "Intro Course" on {at}: Cheated in the exam.')
    assert told.text.endswith("No event gives it back; an operator can let the rules decide again.")


def test_what_a_person_revoked_says_when_the_rules_can_be_asked_to_give_it_back(dana):
    row = course_template()
    _, badge = issued(dana)
    interventions.revoke(badge, "Cheated in the exam.", "olga")
    deliver(fails(dana, 2))
    interventions.release(badge, "olga")
    told = explained(dana).text
    assert told.startswith("Revoked by operator olga:")
    assert "can let the rules decide again once all of it is fulfilled: requirement" in told
    Template.objects.filter(pk=row.pk).update(active=False)
    assert explained(dana).text.endswith("can let the rules decide again once the template is active.")


def test_a_badge_that_the_rules_revoke_after_an_operator_gave_it_back_names_the_rules(dana):
    course_template()
    _, badge = issued(dana)
    interventions.revoke(badge, "By mistake.", "olga")
    interventions.release(badge, "olga")
    failed = fails(dana, 2)
    deliver(failed)
    assert f"matched by event {failed.id}" in explained(dana).text
    assert "olga" not in explained(dana).text


def test_a_badge_taken_away_at_credly_says_so(dana):
    course_template()
    _, badge = issued(dana)
    observations.gone(badge, "revoked at Credly", "webhook")
    told = explained(dana)
    assert (told.verdict, told.event) == (Verdict.LOST, None)
    assert told.text.startswith('Lost "Intro Course": it was taken away at Credly, not by the rules here (known since')


def test_cases_take_the_same_number_of_queries_however_many_templates_there_are(dana, django_assert_num_queries):
    def one_more() -> Template:
        row = template()
        demo = requirement(row, "demo", PASSED, course(DEMO))
        penalty(row, "demo-failed", [demo], FAILED, course(DEMO))
        return row

    rows = [one_more() for _ in range(50)]
    deliver(passes(dana, 1))
    who = Learner.objects.get()
    with django_assert_num_queries(9):
        told = [explain(case) for case in cases_of(who)]
    assert [each.verdict for each in told] == [Verdict.WAITING] * len(rows)
