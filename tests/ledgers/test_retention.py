"""Retention: what ended is removed when its time has come, in batches, and nothing else."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pipeline.ledgers import retention
from pipeline.ledgers.retention import Removed
from pipeline.models import Event, EventStatus, Organization, Webhook, WebhookState
from tests.ledgers.builders import organization

pytestmark = pytest.mark.django_db

LIMIT = timezone.now() - timedelta(days=30)
OLD = LIMIT - timedelta(seconds=1)
YOUNG = LIMIT + timedelta(seconds=1)


def event(status: str, received_at: object = OLD) -> Event:
    row = Event.objects.create(id=uuid4(), type="some.type", time=OLD, topic="t", position="1-0", status=status)
    Event.objects.filter(pk=row.pk).update(received_at=received_at)
    return row


def webhook(owner: Organization, state: str, received_at: object = OLD) -> Webhook:
    row = Webhook.objects.create(organization=owner, event=uuid4(), event_type="badge", state=state)
    Webhook.objects.filter(pk=row.pk).update(received_at=received_at)
    return row


@pytest.mark.parametrize("status", EventStatus.values)
def test_an_old_event_is_removed_if_it_ended(status: str):
    event(status)
    ended = status != "received"
    assert retention.expired(LIMIT) == Removed(int(ended), 0)
    assert retention.remove(LIMIT) == Removed(int(ended), 0)
    assert Event.objects.exists() is not ended


@pytest.mark.parametrize("state", WebhookState.values)
def test_an_old_webhook_is_removed_if_it_ended(state: str):
    webhook(organization(), state)
    ended = state != "waiting"
    assert retention.expired(LIMIT) == Removed(0, int(ended))
    assert retention.remove(LIMIT) == Removed(0, int(ended))
    assert Webhook.objects.exists() is not ended


def test_a_forged_webhook_is_removed_after_a_day():
    owner, now = organization(), timezone.now()
    old = webhook(owner, "refused", now - timedelta(hours=25))
    for state, age in (("refused", 23), ("handled", 25), ("ignored", 25), ("waiting", 25)):
        webhook(owner, state, now - timedelta(hours=age))
    assert retention.remove(LIMIT) == Removed(0, 1)
    assert not Webhook.objects.filter(pk=old.pk).exists()
    assert Webhook.objects.count() == 4


def test_what_is_younger_stays():
    event("processed", YOUNG)
    webhook(organization(), "handled", YOUNG)
    assert retention.remove(LIMIT) == Removed(0, 0)
    assert (Event.objects.count(), Webhook.objects.count()) == (1, 1)


def test_a_batch_is_bounded_and_the_last_one_says_that_nothing_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        event("ignored")
    assert [retention.remove(LIMIT).events for _ in range(4)] == [2, 2, 1, 0]


def test_an_event_that_was_put_back_to_work_meanwhile_stays():
    row = event("failed")

    def redrive(execute, sql, params, many, context):
        if sql.startswith("DELETE"):
            Event.objects.filter(pk=row.pk).update(status="received")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(redrive):
        assert retention.remove(LIMIT) == Removed(0, 0)
    assert Event.objects.filter(pk=row.pk).exists()


def test_a_full_batch_is_one_statement_to_find_and_one_to_remove():
    """Were rows removed one by one, a batch would not end within the limit of a task."""
    for _ in range(20):
        event("processed")
    with CaptureQueriesContext(connection) as queries:
        retention.remove(LIMIT)
    verbs = [query["sql"].split()[0] for query in queries if "pipeline_event" in query["sql"]]
    assert verbs == ["SELECT", "DELETE"]


def test_a_batch_of_full_size_is_removed():
    rows = [
        Event(id=uuid4(), type="t", time=OLD, topic="t", position="1-0", status="ignored")
        for _ in range(retention.BATCH + 1)
    ]
    Event.objects.bulk_create(rows)
    Event.objects.update(received_at=OLD)
    assert [retention.remove(LIMIT).events for _ in range(2)] == [retention.BATCH, 1]
