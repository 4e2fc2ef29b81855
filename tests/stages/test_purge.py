"""purge: old events go, what they decided stays, and their return changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.utils import timezone

from pipeline import nudges, stages
from pipeline.ledgers import retention
from pipeline.lms.events import LmsEvent
from pipeline.models import Badge, BadgeHistory, Event, Fulfillment, Learner, Signal
from tasks.purge import purge
from tests.ledgers.builders import at, course_template, deliver, fails, lms_learner, passes
from tests.stages.conftest import Site, issue

pytestmark = pytest.mark.django_db


def grow_old(days: float) -> None:
    """Let days pass since the events came."""
    Event.objects.update(received_at=timezone.now() - timedelta(days=days))


def remembered() -> dict[str, Any]:
    """All that events decided."""
    tables = (Learner, Fulfillment, Badge, BadgeHistory, Signal)
    return {table.__name__: list(table._default_manager.order_by("pk").values()) for table in tables}


def test_what_is_older_than_the_retention_goes_and_what_it_decided_stays(settings: Any):
    settings.RETENTION_DAYS = 7
    course_template()
    deliver(passes(lms_learner(), 1))
    before = remembered()
    grow_old(6.9)
    assert stages.purge() is False
    assert Event.objects.exists()
    grow_old(7.1)
    assert stages.purge() is True
    assert not Event.objects.exists()
    assert remembered() == before
    assert stages.purge() is False


def test_while_there_is_more_the_task_comes_again(monkeypatch: pytest.MonkeyPatch):
    """The nudges are recorded, not sent: that a nudge runs its task is shown with real workers elsewhere."""
    nudged: list[str] = []
    monkeypatch.setattr(nudges, "purge", lambda: nudged.append("purge"))
    monkeypatch.setattr(retention, "BATCH", 1)
    deliver(passes(lms_learner(), 1), passes(lms_learner(), 2))
    grow_old(1000)
    for _ in range(3):
        purge()
    assert not Event.objects.exists()
    assert nudged == ["purge", "purge"]


def stories() -> list[tuple[str, Callable[[Any], list[LmsEvent]]]]:
    return [
        ("held", lambda who: [passes(who, 1)]),
        ("revoked", lambda who: [passes(who, 1), fails(who, 2)]),
        ("awarded again", lambda who: [passes(who, 1), fails(who, 2), passes(who, 3)]),
        ("revoked again", lambda who: [passes(who, 1), fails(who, 2), passes(who, 3), fails(who, 4)]),
    ]


@pytest.mark.parametrize("story", [story for _, story in stories()], ids=[name for name, _ in stories()])
def test_events_that_come_again_after_their_purge_change_nothing_in_any_order(site: Site, story: Any):
    """The template awards again, so a forgotten revocation would show as another badge."""
    events = story(lms_learner())
    for event in events:
        for badge in deliver(event):
            issue(Badge.objects.get(pk=badge))
    before, ledger, calls = remembered(), site.ledger(), len(site.calls(".*", ".*"))
    for order in permutations(events):
        grow_old(1000)
        assert stages.purge() is True
        assert not Event.objects.exists()
        assert deliver(*order) == []
        assert remembered() == before
    assert site.ledger() == ledger
    assert len(site.calls(".*", ".*")) == calls


def test_the_return_of_only_the_award_of_a_revoked_badge_changes_nothing(site: Site):
    who = lms_learner()
    award = passes(who, 1)
    for badge in deliver(award, fails(who, 2)):
        issue(Badge.objects.get(pk=badge))
    before = remembered()
    grow_old(1000)
    stages.purge()
    assert deliver(award) == []
    assert remembered() == before
    assert Learner.objects.get().as_of == at(2)
