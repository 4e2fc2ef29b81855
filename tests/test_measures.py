"""Measuring inside a process, before anything is shared."""

import pytest

from pipeline import measures
from pipeline.measures import Count, Times
from tests.system.conditions import eventually

COUNT = Count("badges_tests_total", "How many tests there were.", ("kind",))
TIMES = Times("badges_test_seconds", "How long they took.", (), (1.0, 5.0))

pytestmark = pytest.mark.usefixtures("shared_redis")


def shared(name: str) -> dict[tuple[str, ...], float]:
    return {field[1:]: value for field, value in measures.shared().items() if field[0] == name}


def test_what_is_measured_is_shared_by_itself_within_seconds():
    COUNT.add(2, "quick")
    eventually(lambda: shared(COUNT.name) == {("quick", ""): 2})


def test_sharing_adds_to_what_is_there_and_nothing_twice():
    for _ in range(3):
        COUNT.add(1, "quick")
        measures.share()
        measures.share()
    COUNT.add(1, "slow")
    measures.share()
    assert shared(COUNT.name) == {("quick", ""): 3, ("slow", ""): 1}


def test_a_bound_belongs_to_its_bucket_and_what_is_above_all_bounds_to_the_last():
    for seconds in (1.0, 1.1, 5.0, 5.1):
        TIMES.add(seconds)
    measures.share()
    assert shared(TIMES.name) == {("1.0",): 1, ("5.0",): 2, ("+Inf",): 1, ("sum",): pytest.approx(12.2)}


def test_a_time_before_its_beginning_as_clocks_of_two_machines_have_it_is_none():
    TIMES.add(-3.0)
    measures.share()
    assert shared(TIMES.name) == {("1.0",): 1, ("sum",): 0}


def test_whatever_happens_to_redis_measuring_fails_nobody(settings, caplog):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    COUNT.add(1, "quick")
    measures.share()
    assert caplog.records == []
