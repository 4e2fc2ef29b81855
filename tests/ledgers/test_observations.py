"""Observations: what Credly says of a badge is taken over, unless somebody knows better."""

from uuid import uuid4

import pytest
from django.db import IntegrityError
from django.utils import timezone

from pipeline import rules
from pipeline.configuration import ruleset
from pipeline.ledgers import badges, holdings, observations
from pipeline.ledgers.holdings import Done
from pipeline.models import Badge, CredlyState, Standing
from tests.ledgers.builders import badge, claimed, held_badge, signals
from tests.ledgers.races import AT_ONCE, race

pytestmark = pytest.mark.django_db

SOURCE = "webhook"
ACCEPTED, REJECTED, PENDING = CredlyState.ACCEPTED, CredlyState.REJECTED, CredlyState.PENDING
NOT_HELD = ("none", "issuing", "revoking", "revoked", "failed")


def reread(row: Badge) -> Badge:
    return Badge.objects.get(pk=row.pk)


def last_history(row: Badge) -> tuple[str, str, str]:
    entry = row.history.last()
    return entry.what, entry.outcome, entry.actor


def at_credly(state: str, **fields: object) -> Badge:
    """A badge with an id at Credly, in any state here."""
    return badge(**{"credly_id": uuid4(), "credly_state": state, "due_at": None} | fields)


def test_a_state_at_credly_is_taken_over_with_who_looked():
    row = held_badge()
    assert observations.held(row, ACCEPTED, "re-check", "root")
    assert reread(row).credly_state == "accepted"
    assert last_history(row) == ("re-check", "accepted at Credly", "root")
    assert signals(row) == ["awarded"]


def test_a_state_that_is_known_is_no_news():
    row = held_badge()
    before = row.history.count()
    assert not observations.held(row, PENDING, SOURCE)
    assert row.history.count() == before


def test_a_sight_from_before_a_change_does_not_replace_it():
    looked_first, looked_last = (row := held_badge()), reread(row)
    assert observations.held(looked_last, ACCEPTED, SOURCE)
    assert not observations.held(looked_first, REJECTED, SOURCE)
    assert not observations.replaced(looked_first, uuid4(), REJECTED, SOURCE)
    assert (reread(row).credly_state, reread(row).credly_id) == ("accepted", row.credly_id)


@pytest.mark.parametrize("state", NOT_HELD)
def test_a_badge_that_we_do_not_take_for_held_is_not_made_so(state):
    row = at_credly(state)
    assert not observations.held(row, ACCEPTED, SOURCE)
    assert not observations.replaced(row, uuid4(), ACCEPTED, SOURCE)
    assert (reread(row).credly_state, reread(row).credly_id) == (state, row.credly_id)
    assert not row.history.exists()


def test_a_replacement_is_followed():
    row, new = held_badge(), uuid4()
    assert observations.replaced(row, new, ACCEPTED, SOURCE)
    assert not observations.replaced(row, uuid4(), ACCEPTED, SOURCE), "an older sight was taken over"
    assert (reread(row).credly_id, reread(row).credly_state) == (new, "accepted")
    assert last_history(row) == (SOURCE, f"replaced at Credly by {new}, accepted", "")


def test_two_badges_of_ours_never_become_one_at_credly():
    row, other = held_badge(), held_badge()
    with pytest.raises(IntegrityError):
        observations.replaced(row, other.credly_id, ACCEPTED, SOURCE)


@pytest.mark.parametrize("state", ["pending", "accepted", "rejected", "failed"])
def test_a_badge_that_credly_holds_no_more_is_revoked_with_one_signal(state):
    row = at_credly(state)
    done = observations.gone(row, "deleted at Credly", SOURCE)
    assert done == Done(signals=[row.signals.get().pk])
    assert observations.gone(row, "deleted at Credly", SOURCE) == Done()
    now = reread(row)
    assert (now.standing, now.revoked_by, now.credly_state, now.due_at) == ("revoked", "credly", "revoked", None)
    assert (last_history(row), row.history.count()) == ((SOURCE, "deleted at Credly", ""), 1)
    assert signals(row) == ["revoked"]


@pytest.mark.parametrize("state", ["none", "issuing", "revoked"])
def test_a_badge_that_is_being_issued_or_is_not_at_credly_has_nothing_to_lose(state):
    row = at_credly(state)
    assert observations.gone(row, "revoked at Credly", SOURCE) == Done()
    assert (reread(row).standing, reread(row).credly_state, signals(row)) == ("awarded", state, [])


@pytest.mark.parametrize("state", ["none", "issuing", "failed"])
def test_no_signal_tells_of_a_badge_that_credly_never_held(state):
    row = badge(credly_state=state)
    assert observations.gone(row, "not at Credly", SOURCE) == Done()
    assert not observations.held(row, ACCEPTED, SOURCE)
    assert (reread(row).credly_state, signals(row)) == (state, [])


def test_what_the_rules_had_revoked_stays_revoked_by_the_rules():
    row = held_badge()
    Badge.objects.update(standing=Standing.REVOKED, revoked_by="rules", due_at=timezone.now())
    observations.gone(row, "revoked at Credly", SOURCE)
    assert (reread(row).revoked_by, reread(row).due_at) == ("rules", None)


def test_a_revocation_under_way_ends_with_one_signal_whoever_tells_first():
    row = held_badge()
    Badge.objects.update(standing=Standing.REVOKED, due_at=timezone.now())
    claim = claimed(row)
    assert len(observations.gone(row, "revoked at Credly", SOURCE).signals) == 1
    assert holdings.withdrawn(claim, "revoked at Credly").signals == []
    holdings.postponed(claim, CredlyState.PENDING, "too late")
    assert not holdings.renew(claim)
    assert (reread(row).credly_state, reread(row).due_at) == ("revoked", None)
    assert signals(row) == ["awarded", "revoked"]


def test_the_badge_of_the_next_cycle_goes_on_when_the_earlier_one_is_gone():
    row = held_badge()
    Badge.objects.update(standing=Standing.REVOKED, revoked_by="rules", due_at=timezone.now())
    waiting = badge(learner=row.learner, template=row.template, cycle=2)
    assert observations.gone(row, "revoked at Credly", SOURCE).badges == [waiting.pk]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_tell_at_once_one_brings_the_news():
    row = held_badge()
    assert sum(race(lambda: observations.held(row, ACCEPTED, SOURCE))) == 1
    told = race(lambda: observations.gone(row, "revoked at Credly", SOURCE).signals)
    assert sorted(map(len, told)) == [0] * (AT_ONCE - 1) + [1]
    assert signals(row) == ["awarded", "revoked"]


def test_no_event_gives_back_what_somebody_at_credly_took():
    row = held_badge()
    observations.gone(row, "revoked at Credly", SOURCE)
    complete_again(row)
    assert (reread(row).standing, Badge.objects.count()) == ("revoked", 1)


def test_control_what_the_rules_took_an_event_gives_back():
    row = held_badge()
    observations.gone(row, "revoked at Credly", SOURCE)
    Badge.objects.update(revoked_by="rules")
    complete_again(row)
    assert Badge.objects.filter(standing="awarded", cycle=2).exists()


def complete_again(row: Badge) -> None:
    """An event completes the template, which awards again, for the badge's learner."""
    row.template.reaward = True
    row.template.save()
    template = ruleset.current().ruleset.template(row.template_id)
    [requirement] = row.template.requirements.values_list("pk", flat=True)
    decision = rules.Decision(timezone.now(), uuid4(), True)
    decided = {row.template_id: {requirement: decision}}
    badges.follow([badges.Change(row.learner, uuid4(), [template], decided, news={row.template_id})])
