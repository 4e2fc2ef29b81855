"""Controls: with one protection off, the same simulation finds a broken promise within a few hundred seeds."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.utils import timezone

from pipeline import rules
from pipeline.ledgers import claims, holdings, outbox
from pipeline.ledgers.holdings import Claim, Step
from pipeline.models import CredlyState, Signal, Standing
from pipeline.stages.consume import BATCH, InboxConsumer
from tests.simulation.credly import Broken
from tests.simulation.simulation import simulate

SEEDS = 2000

# The package has functions of the same names.
ISSUE = sys.modules["pipeline.stages.issue"]
PERSIST = sys.modules["pipeline.stages.persist"]


def first_broken(**options: Any) -> tuple[int, str] | None:
    """The first seed that breaks a promise, and what it said; None if none does."""
    for seed in range(SEEDS):
        try:
            simulate(seed, **options)
        except Broken as broken:
            return seed, str(broken)
    return None


def test_without_the_look_up_a_lost_answer_issues_a_second_badge(database):
    blind = holdings.STEPS | {(Standing.AWARDED, CredlyState.ISSUING): Step.ISSUE}
    with patch.object(holdings, "STEPS", blind):
        assert "two live badges" in says(first_broken())


def test_without_conditional_claims_two_workers_issue_at_once(database):
    with patch.object(claims, "take", always_won):
        assert says(first_broken())


def always_won(row: Any, **seen_and_set: tuple[Any, Any]) -> Any:
    """`claims.take` without its conditions."""
    token = holdings.uuid.uuid4()
    changes = {field: after for field, (_, after) in seen_and_set.items()}
    until = timezone.now() + claims.CLAIM_LASTS
    type(row)._default_manager.filter(pk=row.pk).update(claim=token, claimed_until=until, attempts=1, **changes)
    return token


def test_without_renewal_a_worker_that_slept_issues_under_a_claim_that_ran_out(database):
    with patch.object(holdings, "renew", lambda claim: True):
        assert "two live badges" in says(first_broken())


def test_without_the_wait_for_late_effects_the_look_up_comes_too_soon(database):
    no_time = timedelta(0)
    with patch.object(ISSUE, "LATE_EFFECT", no_time), patch.object(claims, "wait", lambda attempts: no_time):
        assert says(first_broken())


def test_what_is_acknowledged_before_it_is_stored_gets_lost(database):
    with patch.object(InboxConsumer, "_consume_batch", acknowledges_first):
        assert says(first_broken()).startswith("events")


def acknowledges_first(consumer: InboxConsumer, reader: Any) -> None:
    entries = reader.read(BATCH)
    if entries:
        reader.acknowledge([entry_id for entry_id, _ in entries])
        consumer._store(entries, reader.stream)


def test_a_signal_written_before_credly_confirmed_is_false(database):
    with patch.object(holdings, "claim", tells_too_soon(holdings.claim)):
        assert "says awarded, but Credly holds None" in says(first_broken())


def tells_too_soon(claim: Callable[[Any], Claim | None]) -> Callable[[Any], Claim | None]:
    def told(badge: Any) -> Claim | None:
        if badge.standing == Standing.AWARDED:
            outbox.write(badge, outbox.AWARDED)
        return claim(badge)

    return told


def test_where_the_last_arrival_decides_order_matters(database):
    with patch.object(rules, "supersedes", lambda new, old: True):
        assert says(first_broken()).startswith("progress")


def test_without_housekeeping_a_lost_message_is_a_lost_event(database):
    assert says(first_broken(housekeeping=False)).startswith("stuck")


def test_without_its_transaction_persisting_leaves_half_of_it(database):
    with patch.object(PERSIST, "transaction", SimpleNamespace(atomic=none_at_all)):
        assert says(first_broken())


@contextmanager
def none_at_all() -> Iterator[None]:
    yield


def test_without_their_turn_signals_of_one_badge_overtake_each_other(database):
    with patch.object(outbox, "_pending_of_same", lambda signal: Signal.objects.none()):
        assert says(first_broken()).startswith("order of what was told")


def says(found: tuple[int, str] | None) -> str:
    print(f"first broken: {found}")
    assert found is not None, f"{SEEDS} seeds did not notice"
    return found[1]
