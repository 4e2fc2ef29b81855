"""Holdings: what Credly holds of a badge, whoever brings the news and however late."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from pipeline.ledgers import claims, holdings
from pipeline.ledgers.steps import Step
from pipeline.models import Badge, CredlyState, Organization, Standing
from tests.ledgers.builders import badge, claimed, ended_claim, held_badge, make_due, signals
from tests.ledgers.races import AT_ONCE, race

pytestmark = pytest.mark.django_db


def reread(row: Badge) -> Badge:
    return Badge.objects.get(pk=row.pk)


def standing(row: Badge, value: Standing) -> None:
    """The rules change their mind: what `badges.follow` writes."""
    Badge.objects.filter(pk=row.pk).update(standing=value, due_at=timezone.now(), attempts=0)


@pytest.mark.parametrize(
    ("wanted", "held", "step", "meanwhile"),
    [
        ("awarded", "none", Step.ISSUE, "issuing"),
        ("awarded", "issuing", Step.LOOK_UP_THEN_ISSUE, "issuing"),
        ("revoked", "issuing", Step.LOOK_UP_THEN_CANCEL, "issuing"),
        ("revoked", "pending", Step.REVOKE, "revoking"),
        ("revoked", "accepted", Step.REVOKE, "revoking"),
        ("revoked", "rejected", Step.REVOKE, "revoking"),
        ("revoked", "revoking", Step.LOOK_UP_THEN_REVOKE, "revoking"),
    ],
)
def test_the_step_follows_from_what_should_be_and_what_credly_holds(wanted, held, step, meanwhile):
    row = badge(standing=wanted, credly_state=held)
    claim = holdings.claim(holdings.due(row.pk))
    assert claim.step is step
    assert reread(row).credly_state == meanwhile


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        ("awarded", "pending"),
        ("awarded", "accepted"),
        ("awarded", "rejected"),
        ("awarded", "failed"),
        ("revoked", "none"),
        ("revoked", "revoked"),
        ("revoked", "failed"),
    ],
)
def test_a_badge_with_nothing_to_do_is_settled(wanted, held):
    row = badge(standing=wanted, credly_state=held)
    assert holdings.due(row.pk) is None
    assert reread(row).due_at is None
    assert not row.history.exists()


@pytest.mark.parametrize("state", [CredlyState.PENDING, CredlyState.ACCEPTED])
def test_a_badge_that_credly_holds_is_told_in_one_signal(state):
    row, credly_id = badge(), uuid4()
    claim = claimed(row)
    done = holdings.held(claim, credly_id, state, "issued")
    assert done.badges == []
    assert done.signals == [row.signals.get().pk]
    assert holdings.held(claim, credly_id, state, "issued").signals == []
    now = reread(row)
    assert (now.credly_state, now.credly_id, now.due_at, now.claim, now.attempts) == (state, credly_id, None, None, 0)
    assert signals(row) == ["awarded"]


def test_a_revoked_badge_is_told_in_one_signal():
    row = held_badge()
    standing(row, Standing.REVOKED)
    claim = claimed(row)
    done = holdings.withdrawn(claim, "revoked at Credly")
    assert done.signals == [row.signals.last().pk]
    assert holdings.withdrawn(claim, "revoked at Credly").signals == []
    assert (reread(row).credly_state, reread(row).due_at) == ("revoked", None)
    assert signals(row) == ["awarded", "revoked"]


def test_an_answer_that_comes_after_the_claim_was_lost_is_still_recorded():
    row, credly_id = badge(), uuid4()
    late = claimed(row)
    ended_claim(row)
    other = claimed(row)
    assert other.step is Step.LOOK_UP_THEN_ISSUE
    assert len(holdings.held(late, credly_id, CredlyState.PENDING, "issued").signals) == 1
    assert holdings.held(other, credly_id, CredlyState.PENDING, "found").signals == []
    assert (reread(row).credly_state, reread(row).credly_id) == ("pending", credly_id)
    assert signals(row) == ["awarded"]


def test_an_answer_that_comes_after_the_badge_was_given_up_has_it_revoked():
    row = badge()
    late = claimed(row)
    ended_claim(row)
    standing(row, Standing.REVOKED)
    assert holdings.cancelled(claimed(row)).signals == []
    done = holdings.held(late, uuid4(), CredlyState.PENDING, "issued")
    assert done.badges == [row.pk]
    assert claimed(row).step is Step.REVOKE


def test_a_late_answer_does_not_undo_a_revocation():
    row = badge()
    late = claimed(row)
    ended_claim(row)
    credly_id = uuid4()
    holdings.held(claimed(row), credly_id, CredlyState.PENDING, "found")
    standing(row, Standing.REVOKED)
    holdings.withdrawn(claimed(row), "revoked at Credly")
    assert holdings.held(late, credly_id, CredlyState.PENDING, "issued").signals == []
    assert reread(row).credly_state == "revoked"


def test_the_failure_of_a_lost_claim_changes_nothing():
    row = badge()
    late = claimed(row)
    ended_claim(row)
    other = claimed(row)
    holdings.failed(late, "late")
    holdings.postponed(late, CredlyState.NONE, "late")
    holdings.cancelled(late)
    holdings.replaced(late, uuid4())
    now = reread(row)
    assert (now.credly_state, now.claim, now.error, now.credly_id) == ("issuing", other.token, "", None)


def test_a_badge_cancelled_before_credly_saw_it_has_no_signal():
    row = badge()
    claim = claimed(row)
    holdings.postponed(claim, CredlyState.ISSUING, "no answer")
    standing(row, Standing.REVOKED)
    done = holdings.cancelled(claimed(row))
    assert (done.signals, done.badges) == ([], [])
    assert (reread(row).credly_state, reread(row).due_at) == ("none", None)
    assert signals(row) == []


def test_a_badge_whose_standing_changed_while_the_call_was_out_is_due_at_once():
    row = badge()
    claim = claimed(row)
    standing(row, Standing.REVOKED)
    done = holdings.held(claim, uuid4(), CredlyState.PENDING, "issued")
    assert done.badges == [row.pk]
    assert signals(row) == ["awarded"]
    again = badge()
    claim = claimed(again)
    standing(again, Standing.REVOKED)
    holdings.postponed(claim, CredlyState.NONE, "throttled", timezone.now() + timedelta(hours=1))
    assert reread(again).due_at <= timezone.now()


def test_a_postponed_badge_waits_until_the_time_that_was_named():
    row, until = badge(), timezone.now() + timedelta(seconds=90)
    holdings.postponed(claimed(row), CredlyState.NONE, "throttled", until)
    now = reread(row)
    assert (now.due_at, now.credly_state, now.error, now.claim) == (until, "none", "throttled", None)
    assert holdings.due(row.pk) is None


def test_without_a_named_time_the_wait_grows_with_the_attempts():
    row = badge()
    waits = []
    for _ in range(12):
        claim = claimed(row)
        holdings.postponed(claim, CredlyState.NONE, "unavailable")
        waits.append((reread(row).due_at - timezone.now()).total_seconds())
    assert waits[0] < 2.1
    assert waits[0] < waits[4] < waits[8]
    assert 299 < waits[-1] <= 600


def test_a_badge_that_credly_refused_is_failed_with_its_words_and_rests():
    row = badge()
    holdings.failed(claimed(row), "Credly says: archived")
    now = reread(row)
    assert (now.credly_state, now.error, now.due_at) == ("failed", "Credly says: archived", None)
    assert row.history.last().outcome == "refused: Credly says: archived"


def test_a_replaced_badge_is_due_under_its_new_id():
    row, replacement = held_badge(), uuid4()
    standing(row, Standing.REVOKED)
    holdings.replaced(claimed(row), replacement)
    assert reread(row).due_at > timezone.now()
    assert (reread(row).credly_id, reread(row).credly_state) == (replacement, "pending")


def next_cycle(earlier: Badge) -> Badge:
    return badge(learner=earlier.learner, template=earlier.template, cycle=2)


def test_the_next_cycle_is_due_only_after_the_earlier_badge_is_revoked():
    earlier = held_badge()
    standing(earlier, Standing.REVOKED)
    later = next_cycle(earlier)
    assert holdings.earlier_cycle_is_live(later)
    assert not holdings.earlier_cycle_is_live(earlier)
    holdings.hold_back(later, timezone.now() + timedelta(minutes=1), "waits")
    assert holdings.withdrawn(claimed(earlier), "revoked at Credly").badges == [later.pk]
    assert not holdings.earlier_cycle_is_live(later)
    assert holdings.due(later.pk) is not None


def test_holding_back_counts_no_attempt():
    row = badge()
    holdings.hold_back(row, timezone.now() + timedelta(minutes=1), "The key is refused.")
    now = reread(row)
    assert (now.attempts, now.credly_state, now.error) == (0, "none", "The key is refused.")
    assert now.due_at > timezone.now()


def test_a_badge_that_somebody_works_on_is_not_held_back():
    row = badge()
    read = holdings.due(row.pk)
    claim = holdings.claim(read)
    holdings.hold_back(read, timezone.now() + timedelta(minutes=1), "late")
    assert (reread(row).claim, reread(row).error) == (claim.token, "")


def test_when_a_key_works_again_all_waiting_badges_of_that_organization_are_due():
    hour = timezone.now() + timedelta(hours=1)
    mine, other, settled = badge(), badge(), badge(due_at=None)
    settled.template.organization = mine.template.organization
    settled.template.save()
    for row in (mine, other):
        holdings.hold_back(row, hour, f"{holdings.GATE_CLOSED} its key is refused.")
    holdings.resume(mine.template.organization)
    assert reread(mine).due_at <= timezone.now()
    assert reread(other).due_at == hour
    assert reread(settled).due_at is None


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (CredlyState.ISSUING, "no answer"),
        (CredlyState.REVOKING, "no answer"),
        (CredlyState.NONE, "Credly asked for less."),
    ],
)
def test_when_a_key_works_again_what_waits_for_another_reason_keeps_its_time(state, reason):
    row, until = badge(), timezone.now() + timedelta(seconds=30)
    holdings.postponed(claimed(row), state, reason, until)
    holdings.resume(row.template.organization)
    assert reread(row).due_at == until


@pytest.mark.parametrize(
    ("wanted", "credly_id", "step"),
    [
        ("awarded", None, Step.ISSUE),
        ("awarded", uuid4(), Step.LOOK_UP_THEN_ISSUE),
        ("revoked", uuid4(), Step.LOOK_UP_THEN_REVOKE),
    ],
)
def test_a_failed_badge_is_driven_again_with_a_look_where_credly_may_hold_it(wanted, credly_id, step):
    row = badge(standing=wanted, credly_state="failed", credly_id=credly_id, due_at=None, attempts=7)
    assert holdings.redrive(row)
    assert not holdings.redrive(row)
    assert holdings.claim(holdings.due(row.pk)).step is step


def test_a_failed_badge_of_which_another_cycle_is_live_waits_for_that():
    live = held_badge()
    Badge.objects.filter(pk=live.pk).update(standing="revoked")
    failed = badge(
        learner=live.learner, template=live.template, cycle=2, credly_state="failed", credly_id=uuid4(), due_at=None
    )
    assert not holdings.redrive(reread(failed))
    assert reread(failed).credly_state == "failed"


def test_a_claim_is_renewed_by_who_still_holds_it():
    row = badge()
    first = claimed(row)
    ended_claim(row)
    assert holdings.renew(first)
    assert holdings.claim(row) is None
    ended_claim(row)
    second = holdings.claim(holdings.due(row.pk))
    assert not holdings.renew(first)
    assert holdings.renew(second)


def test_a_claim_ends_before_the_next_call_when_nobody_wants_the_badge_any_more():
    row = badge()
    claim = claimed(row)
    Badge.objects.filter(pk=row.pk).update(standing="revoked")
    assert not holdings.renew(claim)
    assert (reread(row).credly_state, reread(row).claim) == ("none", None)
    assert holdings.due(row.pk) is None
    assert reread(row).due_at is None


def test_housekeeping_names_no_badge_of_an_organization_that_must_not_be_called_now():
    row = badge()
    organization = row.template.organization
    Organization.objects.filter(pk=organization.pk).update(call_again_at=timezone.now() + timedelta(minutes=1))
    assert holdings.named_due(10) == []
    Organization.objects.filter(pk=organization.pk).update(call_again_at=timezone.now())
    assert holdings.named_due(10) == [row.pk]


def test_a_failed_badge_that_credly_never_held_and_nobody_wants_is_left_alone():
    assert not holdings.redrive(badge(standing="revoked", credly_state="failed", due_at=None))


def test_a_badge_at_credly_belongs_to_one_of_ours():
    mine = held_badge()
    assert holdings.of_others([mine.credly_id, uuid4()], badge()) == {mine.credly_id}
    assert holdings.of_others([mine.credly_id], mine) == set()


def test_every_step_and_its_result_is_in_the_history():
    row = badge()
    claim = claimed(row)
    holdings.postponed(claim, CredlyState.ISSUING, "no answer (ReadTimeout)")
    make_due(row)
    credly_id = uuid4()
    holdings.held(claimed(row), credly_id, CredlyState.PENDING, "found")
    assert [(entry.what, entry.outcome) for entry in row.history.all()] == [
        ("issue", "to be tried again: no answer (ReadTimeout)"),
        ("look up, then issue", f"found: pending at Credly as {credly_id}"),
    ]


def dies(row: Badge) -> None:
    """A worker takes the badge up and dies."""
    claimed(row)
    ended_claim(row)


def test_a_badge_that_is_taken_up_again_and_again_without_a_result_is_set_aside(caplog):
    row = badge()
    for _ in range(claims.MOST_TAKEN_UP):
        dies(row)
    make_due(row)
    assert holdings.claim(holdings.due(row.pk)) is None
    now = reread(row)
    assert (now.credly_state, now.due_at, now.claim) == ("failed", None, None)
    assert "without a result" in now.error
    assert row.history.last().what == "set aside"
    assert str(row.uuid) in caplog.text


def test_any_result_starts_the_count_of_a_badge_anew():
    row = badge()
    for _ in range(3):
        for _ in range(claims.MOST_TAKEN_UP - 1):
            dies(row)
        holdings.postponed(claimed(row), CredlyState.ISSUING, "Credly is away.")
    assert (reread(row).credly_state, reread(row).taken_up) == ("issuing", 0)


@pytest.mark.parametrize(
    ("wanted", "credly_id", "step"),
    [
        ("awarded", None, Step.LOOK_UP_THEN_ISSUE),
        ("awarded", uuid4(), Step.LOOK_UP_THEN_ISSUE),
        ("revoked", None, Step.LOOK_UP_THEN_CANCEL),
        ("revoked", uuid4(), Step.LOOK_UP_THEN_REVOKE),
    ],
)
def test_a_badge_that_was_set_aside_without_a_result_is_looked_up_before_anything_is_done(wanted, credly_id, step):
    """Its worker may have died after the call was sent."""
    row = badge(standing=wanted, credly_state="failed", credly_id=credly_id, due_at=None, taken_up=claims.MOST_TAKEN_UP)
    assert holdings.redrive(row)
    assert holdings.claim(holdings.due(row.pk)).step is step


def test_a_badge_on_which_our_own_code_fails_is_set_aside_with_where_it_struck():
    row = badge()
    for _ in range(claims.MOST_TAKEN_UP):
        claim = claimed(row)
        assert reread(row).credly_state == "issuing"
        try:
            holdings.redrive(None)
        except AttributeError as error:
            holdings.stumbled(claim, error)
    now = reread(row)
    assert (now.credly_state, now.error, now.due_at) == ("failed", "AttributeError on our side.", None)
    assert "pipeline/ledgers/holdings.py:" in now.traceback
    assert holdings.redrive(now)
    assert (reread(row).traceback, reread(row).taken_up) == ("", 0)


@pytest.mark.parametrize("state", holdings.CALL_OUT)
def test_a_look_up_after_a_lost_answer_keeps_its_time_though_the_rules_change_their_mind_meanwhile(state):
    row, until = badge(), timezone.now() + timedelta(seconds=10)
    claim = claimed(row)
    Badge.objects.filter(pk=row.pk).update(standing="revoked")
    holdings.postponed(claim, state, "no answer", until)
    assert reread(row).due_at == until


def test_what_shall_be_worked_on_soon_is_due_now_but_a_look_up_is_not_brought_forward_below_a_minute():
    now = timezone.now()
    plain, soon, late = (badge(due_at=now + timedelta(seconds=seconds)) for seconds in (600, 10, 600))
    Badge.objects.filter(pk__in=[soon.pk, late.pk]).update(credly_state="issuing")
    Badge.objects.update(due_at=holdings.soonest())
    assert reread(plain).due_at <= timezone.now()
    assert reread(soon).due_at == soon.due_at
    assert timedelta(seconds=59) < reread(late).due_at - now < timedelta(seconds=61)


def test_of_badges_that_may_have_killed_their_worker_one_is_tried_at_a_time():
    """Calls share a process: those that died with the guilty one would else die with it until they are set aside too."""
    guilty, innocent, fresh = badge(), badge(), badge()
    for _ in range(claims.SUSPECT_FROM):
        dies(guilty), dies(innocent)
    make_due(guilty, innocent)
    held = holdings.claim(holdings.due(guilty.pk))
    assert held is not None
    assert holdings.claim(holdings.due(innocent.pk)) is None
    assert holdings.claim(holdings.due(fresh.pk)) is not None
    ended_claim(guilty)
    claim = holdings.claim(holdings.due(innocent.pk))
    holdings.postponed(claim, CredlyState.ISSUING, "no answer")
    assert reread(innocent).taken_up == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_suspects_at_the_same_moment_one_is_claimed():
    rows = iter([badge(taken_up=claims.SUSPECT_FROM) for _ in range(AT_ONCE)])
    due = [holdings.due(row.pk) for row in rows]
    won = race(lambda: holdings.claim(due.pop()))
    assert sum(claim is not None for claim in won) == 1
