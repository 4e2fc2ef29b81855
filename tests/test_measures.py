"""Measuring inside a process, before anything is shared."""

import os
import subprocess
import sys
from typing import Any

import pytest

from pipeline import measures
from pipeline.embedded.system import PROJECT
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


def test_a_process_that_ends_adds_what_it_still_keeps(settings: Any):
    command = "import django; django.setup()\nfrom pipeline import measures\nmeasures.BUS_MESSAGES.add(3)"
    environment = {
        **os.environ,
        "DEBUG": "true",
        "DJANGO_SETTINGS_MODULE": "pipeline.settings",
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
    }
    subprocess.run([sys.executable, "-c", command], cwd=PROJECT, env=environment, check=True)
    assert shared(measures.BUS_MESSAGES.name) == {("",): 3}


def test_where_no_further_thread_is_to_be_had_measuring_fails_nobody_and_nothing_is_lost(monkeypatch):
    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as exhausted:
        exhausted.setattr("threading.Thread.start", refuse)
        COUNT.add(1, "quick")
    COUNT.add(1, "quick")
    eventually(lambda: shared(COUNT.name) == {("quick", ""): 2})


def test_a_batch_that_fails_is_measured_and_no_sign_that_the_stage_gets_on():
    with pytest.raises(ZeroDivisionError), measures.batch("consume"):
        raise ZeroDivisionError
    measures.share()
    assert {labels[:2] for labels in shared(measures.STAGE_SECONDS.name)} == {("consume", "failure")}
    assert shared(measures.STAGE_LAST_RUN.name) == {}
    with measures.batch("consume"):
        pass
    measures.share()
    assert {labels[:2] for labels in shared(measures.STAGE_SECONDS.name)} == {
        ("consume", "failure"),
        ("consume", "success"),
    }
    assert ("consume", "") in shared(measures.STAGE_LAST_RUN.name)
