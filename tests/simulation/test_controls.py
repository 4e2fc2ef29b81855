"""Controls: with one protection off, the same simulation finds a broken promise within a few hundred seeds."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db.models import Q
from django.utils import timezone

from pipeline import rules
from pipeline.bus.streams import Entry
from pipeline.configuration import gate
from pipeline.ledgers import claims, holdings, inbox, outbox, siblings, steps
from pipeline.ledgers.holdings import Claim
from pipeline.ledgers.steps import Step
from pipeline.models import Badge, CredlyState, Organization, Standing
from pipeline.stages import clock_change
from pipeline.stages.consume import InboxConsumer
from tests.simulation.credly import Broken
from tests.simulation.scenario import RATES
from tests.simulation.simulation import simulate

SEEDS = 2000

QUIET = dict.fromkeys(RATES, 0.0) | {"tick": 0.05}
"""No fault at all; a control that needs one kind often adds it."""

TOO_MANY = "live badges of template"

# The package has functions of the same names.
ISSUE = sys.modules["pipeline.stages.issue"]
PERSIST = sys.modules["pipeline.stages.persist"]
PROGRESS = sys.modules["pipeline.rules.progress"]


def broken_without(*removals: AbstractContextManager[Any], **options: Any) -> str:
    """What the first seed says that breaks a promise while a protection is off; with it, the same seed must hold."""
    with ExitStack() as stack:
        for removal in removals:
            stack.enter_context(removal)
        seed, message = _first_broken(**options)
    simulate(seed, **options | {"housekeeping": True})
    return message


def _first_broken(**options: Any) -> tuple[int, str]:
    for seed in range(SEEDS):
        try:
            simulate(seed, **options)
        except Broken as broken:
            return seed, str(broken)
    raise AssertionError(f"{SEEDS} seeds did not notice")


def test_without_the_look_up_a_lost_answer_issues_a_second_badge(database):
    careful = steps.step
    blind = lambda badge: Step.ISSUE if badge.standing == Standing.AWARDED else careful(badge)  # noqa: E731
    assert broken_without(patch.object(steps, "step", blind))


def test_without_conditional_claims_two_workers_issue_at_once(database):
    blind = lambda badge: steps.STEPS[(Standing(badge.standing), CredlyState(badge.credly_state))]  # noqa: E731
    # A look at Credly before the call, as where it allows duplicates, would hide it nearly always.
    removals = patch.object(claims, "take", always_won), patch.object(steps, "step", blind)
    assert TOO_MANY in broken_without(*removals, rates=QUIET | {"repeat": 0.9, "credly": 0.5})


def always_won(row: Any, **seen_and_set: tuple[Any, Any]) -> Any:
    """`claims.take` without its conditions."""
    token = holdings.uuid.uuid4()
    changes = {field: after for field, (_, after) in seen_and_set.items()}
    until = timezone.now() + claims.CLAIM_LASTS
    type(row)._default_manager.filter(pk=row.pk).update(claim=token, claimed_until=until, attempts=1, **changes)
    return token


def test_without_renewal_a_worker_that_slept_issues_under_a_claim_that_ran_out(database):
    sleepy = QUIET | {"credly": 0.85, "repeat": 0.8}
    message = broken_without(patch.object(holdings, "renew", never_ends), rates=sleepy)
    assert TOO_MANY in message or message.startswith("held at Credly")


def never_ends(claim: Claim) -> bool:
    """`holdings.renew` without a look at the claim itself."""
    return Badge.objects.filter(pk=claim.badge.pk, standing=claim.badge.standing).exists()


def test_without_the_wait_for_late_effects_the_look_up_comes_too_soon(database):
    no_time = timedelta(0)
    shorter = patch.object(ISSUE, "LATE_EFFECT", no_time), patch.object(claims, "wait", lambda attempts: no_time)
    assert TOO_MANY in broken_without(*shorter, rates=QUIET | {"credly": 0.95})


def test_what_is_acknowledged_before_it_is_stored_gets_lost(database):
    assert broken_without(patch.object(InboxConsumer, "_take", acknowledges_first)).startswith("events")


def acknowledges_first(consumer: InboxConsumer, entries: list[Entry], reader: Any) -> None:
    if entries:
        reader.acknowledge([entry_id for entry_id, _ in entries])
        consumer._store(entries, reader.stream)


def test_a_signal_written_before_credly_confirmed_is_false(database):
    assert "says awarded, but Credly holds None" in broken_without(
        patch.object(holdings, "claim", tells_too_soon(holdings.claim))
    )


def tells_too_soon(claim: Callable[[Any], Claim | None]) -> Callable[[Any], Claim | None]:
    def told(badge: Any) -> Claim | None:
        if badge.standing == Standing.AWARDED:
            outbox.write(badge, outbox.AWARDED)
        return claim(badge)

    return told


def test_where_the_last_arrival_decides_order_matters(database):
    assert broken_without(patch.object(PROGRESS, "supersedes", lambda new, old: True)).startswith("progress")


def test_where_only_the_newest_event_is_remembered_counting_ends_short(database):
    decide = rules.decide

    def newest_only(template: Any, occurrences: Any) -> Any:
        newest = {key: [max(each, key=lambda one: (one.time, one.event))] for key, each in occurrences.items() if each}
        return decide(template, newest)

    assert broken_without(patch.object(PROGRESS, "decide", newest_only)).startswith("progress")


def test_where_badges_for_different_values_do_not_wait_for_each_other_one_is_taken_for_the_other(database):
    alone = patch.object(siblings, "another_is_being_issued", lambda badge: False)
    assert broken_without(alone, rates=QUIET | {"credly": 0.7, "stall": 0.03, "repeat": 0.4}).startswith("dates")


def test_without_housekeeping_a_lost_message_is_a_lost_event(database):
    assert broken_without(housekeeping=False).startswith("stuck")


def test_where_what_was_taken_up_is_never_put_down_events_are_set_aside_that_harm_nobody(database):
    message = broken_without(patch.object(inbox, "put_down", lambda event: None))
    assert "was set aside, though" in message


def test_without_its_transaction_persisting_leaves_half_of_it(database):
    assert broken_without(
        patch.object(PERSIST, "transaction", SimpleNamespace(atomic=none_at_all)), rates=QUIET | {"stall": 0.1}
    )


@contextmanager
def none_at_all() -> Iterator[None]:
    yield


def test_without_their_turn_signals_of_one_badge_overtake_each_other(database):
    overtaking = patch.object(outbox, "_its_turn", Q)
    assert broken_without(overtaking, rates=QUIET | {"bus": 0.4}).startswith("order of what was told")


WAITS_FOR_EVER = ("stuck", "no end")


def test_where_nobody_notices_that_the_clock_was_set_back_work_waits_for_the_old_time(database):
    often = QUIET | {"clock goes wrong": 0.1, "credly": 0.7}
    unnoticed = patch.object(clock_change, "notice", lambda: None)
    assert broken_without(unnoticed, rates=often).startswith(WAITS_FOR_EVER)


def test_without_its_probes_a_circuit_stays_open_after_the_outage(database):
    never = patch.object(gate, "closed_until", never_probes)
    assert broken_without(never, rates=QUIET | {"outage": 0.05}).startswith(WAITS_FOR_EVER)


def test_without_its_probes_a_key_that_was_refused_once_is_never_tried_again(database):
    never = patch.object(gate, "closed_until", never_probes)
    assert broken_without(never, rates=QUIET | {"key": 0.05}).startswith(WAITS_FOR_EVER)


def never_probes(organization: Organization) -> datetime | None:
    """`gate.closed_until` of a gate that nothing opens."""
    return timezone.now() + gate.LONGEST_PROBE_WAIT if gate.reason(organization) else None
