"""Claims: one worker at a time, and nobody for long."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event

import pytest
from django.db import connection, transaction
from django.utils import timezone

from pipeline.ledgers import claims, holdings
from pipeline.models import Badge, CredlyState
from tests.ledgers.builders import badge, ended_claim
from tests.ledgers.races import AT_ONCE, race

pytestmark = pytest.mark.django_db


def reread(row: Badge) -> Badge:
    return Badge.objects.get(pk=row.pk)


def test_of_two_claims_one_wins():
    row = badge()
    assert claims.take(row) is not None
    assert claims.take(row) is None
    assert claims.take(reread(row)) is None


def test_a_claim_counts_an_attempt_and_sets_what_it_was_asked_to():
    row = badge()
    token = claims.take(row, credly_state=(CredlyState.NONE, CredlyState.ISSUING))
    now = reread(row)
    assert (now.claim, now.attempts, now.credly_state) == (token, 1, "issuing")
    assert now.claimed_until > timezone.now()


def test_a_row_that_changed_since_it_was_read_is_not_claimed():
    row = badge()
    Badge.objects.update(standing="revoked")
    assert claims.take(row, standing=("awarded", "awarded")) is None
    assert reread(row).attempts == 0


@pytest.mark.parametrize("due_at", [None, timedelta(minutes=1)], ids=["nothing to do", "not yet"])
def test_a_row_that_is_not_due_is_not_claimed(due_at):
    row = badge(due_at=timezone.now() + due_at if due_at else None)
    assert claims.take(row) is None


def test_the_claim_of_a_dead_worker_ends_by_itself():
    row = badge()
    first = claims.take(row)
    ended_claim(row)
    second = claims.take(row)
    assert second is not None
    assert second != first


def test_a_row_is_named_once_and_again_when_its_nudge_got_lost():
    row = badge()
    assert claims.due(Badge.objects.all(), 10) == [row.pk]
    assert claims.due(Badge.objects.all(), 10) == []
    Badge.objects.update(nudged_at=timezone.now() - claims.NUDGE_AGAIN_AFTER)
    assert claims.due(Badge.objects.all(), 10) == [row.pk]


def test_a_row_that_somebody_works_on_is_not_named_until_the_claim_ends():
    row = badge()
    claims.take(row)
    assert claims.due(Badge.objects.all(), 10) == []
    ended_claim(row)
    assert claims.due(Badge.objects.all(), 10) == [row.pk]


def test_the_longest_due_are_named_first_up_to_the_limit():
    rows = [badge(due_at=timezone.now() - timedelta(minutes=age)) for age in (1, 3, 2)]
    assert claims.due(Badge.objects.all(), 2) == [rows[1].pk, rows[2].pk]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer: nobody else can insert meanwhile")
@pytest.mark.django_db(transaction=True)
def test_a_badge_is_named_while_somebody_else_inserts_one_of_the_same_template():
    row = badge()
    inserted, named = Event(), Event()

    def insert():
        try:
            with transaction.atomic():
                badge(template=row.template)
                inserted.set()
                named.wait()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        inserting = pool.submit(insert)
        inserted.wait()
        try:
            assert holdings.named_due(10) == [row.pk]
        finally:
            named.set()
        inserting.result()


def test_waits_double_with_jitter_up_to_a_limit():
    for attempts in range(1, 200):
        longest = min(claims.LONGEST_WAIT, 2.0 * 2 ** min(attempts - 1, 30))
        wait = claims.wait(attempts).total_seconds()
        assert longest / 2 <= wait <= longest


def test_many_that_failed_together_do_not_come_back_together():
    assert len({claims.wait(5) for _ in range(50)}) > 40


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_at_the_same_moment_exactly_one_wins():
    for _ in range(5):
        row = badge()
        tokens = race(lambda row=row: claims.take(row))
        winners = [token for token in tokens if token]
        assert winners == [reread(row).claim]


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_checks_first_and_writes_then_would_be_won_twice():
    """The control: the same race without the conditional update."""
    row = badge()
    checked = Barrier(AT_ONCE)

    def check_then_write():
        is_free = reread(row).claim is None
        checked.wait()
        if is_free:
            Badge.objects.filter(pk=row.pk).update(claim=row.uuid)
        return is_free

    assert race(check_then_write).count(True) > 1
