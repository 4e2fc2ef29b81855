"""Badges that share a message to `credly`."""

import base64
import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from celery import Celery
from django.db import OperationalError

import tasks.issue
from pipeline import nudges, stages
from pipeline.ledgers.holdings import Done
from tests.system.conditions import eventually
from tests.tasks.nodes import BrokerNode
from tests.tasks.school import School, nothing_waits

BADGES = 25


@pytest.fixture
def issued(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Runs a message of these badges, of which the deadly one fails; returns those that were tried."""

    def issued(badges: list[int], deadly: int | None = None) -> list[int]:
        tried: list[int] = []

        def take_a_step(badge: int) -> Done:
            tried.append(badge)
            if badge == deadly:
                raise OperationalError
            return Done()

        monkeypatch.setattr(stages, "issue", take_a_step)
        if deadly is None:
            tasks.issue.issue.run(badges)
        else:
            with pytest.raises(OperationalError):
                tasks.issue.issue.run(badges)
        return tried

    return issued


def waiting(broker: BrokerNode) -> list[list[int]]:
    """The badges of each message that waits for `credly`, oldest first."""
    messages = broker.container.client.lrange("issue", 0, -1)
    return [json.loads(base64.b64decode(json.loads(message)["body"]))[0][0] for message in reversed(messages)]


def test_badges_that_are_due_at_one_moment_share_messages(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School
):
    nudges.issue(range(BADGES))
    assert waiting(celery_broker) == [list(range(10)), list(range(10, 20)), list(range(20, 25))]


def test_while_calls_are_slow_each_badge_gets_a_thread_of_its_own(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School, issued, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tasks.issue, "TOGETHER_SECONDS", 0.0)
    assert issued([1, 2, 3]) == [1]
    assert waiting(celery_broker) == [[2], [3]]


def test_as_many_share_the_next_message_as_were_through_in_this_one(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School, issued, monkeypatch: pytest.MonkeyPatch
):
    clock = iter([0.0, 0.4, 0.8, 1.2])
    monkeypatch.setattr(tasks.issue, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert issued(list(range(10))) == [0, 1, 2]
    assert waiting(celery_broker) == [[3, 4, 5], [6, 7, 8], [9]]


def test_while_calls_are_quick_nothing_goes_back(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School, issued, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tasks.issue, "TOGETHER_SECONDS", 60.0)
    assert issued([1, 2, 3]) == [1, 2, 3]
    assert waiting(celery_broker) == []


def test_a_badge_that_fails_takes_no_other_along(
    celery_broker: BrokerNode, celery_setup_app: Celery, school: School, issued
):
    assert issued([1, 2, 3], deadly=1) == [1]
    assert waiting(celery_broker) == [[2], [3]]


@pytest.mark.usefixtures("celery_worker_cluster")
def test_badges_of_one_message_are_all_issued_while_credly_is_slow(school: School):
    school.fault("slow-first-byte", delay=0.3)
    nudges.evaluate(school.store(school.message() for _ in range(BADGES)))
    eventually(nothing_waits)
    assert len(set(school.issued())) == len(school.issued()) == BADGES
