"""SQLite: somebody writes for longer than others wait ("database is locked"): all try again, and nothing is lost."""

import time
from functools import partial

import pytest

from tests.faults import pace
from tests.faults.cluster import SMALL
from tests.faults.databases import Sqlite
from tests.faults.selection import SEED
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated

NUMBERS = {**SMALL, "consumer": 2, "worker": 2}
DATABASE = partial(Sqlite, busy_seconds=1)
LOCKED_SECONDS = pace.CLAIM_SECONDS + 2


@pytest.fixture
def story(cluster):
    """Learners who hold a badge."""
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    cluster.play(story.all_pass())
    assert cluster.settle() == []
    return story


def said(cluster, process):
    """How often a process found the database locked."""
    return sum(cluster.processes[name].output().count("OperationalError") for name in cluster.names(process))


def test_events_come_in_once_nobody_else_writes_any_more(cluster, story):
    with cluster.database.locked():
        before = said(cluster, "consumer")
        cluster.play([*story.all_fail(hour=3), *story.all_pass(hour=4)])
        cluster.wait(lambda: said(cluster, "consumer") > before)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_an_answer_of_credly_is_looked_up_once_nobody_else_writes_any_more(cluster, story):
    before = said(cluster, "credly")
    slow = {"match": {"method": "PUT", "path": "/badges"}, "delay": 2, "when": "before", "times": len(story.learners)}
    cluster.credly("POST", "faults", slow)
    cluster.play(story.all_fail(hour=3))
    cluster.wait(lambda: cluster.credly("GET", "requests?method=PUT&fault=custom")["requests"])
    with cluster.database.locked():
        until = time.monotonic() + LOCKED_SECONDS
        cluster.wait(lambda: time.monotonic() > until)
    assert said(cluster, "credly") > before
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)
