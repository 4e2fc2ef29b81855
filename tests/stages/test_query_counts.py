"""What each stage asks of the database: no more among a thousand templates than beside one, or for many events than for two.

One thing grows: a badge that is awarded again before its revocation began is changed by a query of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from pipeline import stages
from pipeline.configuration import ruleset
from pipeline.ledgers import bulk, inbox
from pipeline.lms.events import PASSING, LmsEvent
from pipeline.models import Badge, ConfigurationVersion, Requirement, RequirementRule, Signal, Template
from pipeline.nudges import PERSIST_AT_ONCE
from pipeline.stages import clock_change
from tests.ledgers.builders import (
    DEMO,
    MATH,
    TOPIC,
    deliver,
    deliver_together,
    fails,
    lms_learner,
    make_due,
    message,
    passes,
    stored,
)
from tests.stages.conftest import Site

TEMPLATES = (1, 10, 100, 1_000)
TOGETHER = (2, PERSIST_AT_ONCE)
STORE = 3 if connection.vendor == "mysql" else 2
"""On MySQL known events are counted before, since its cursor counts them too."""
OTHERS_COURSE = "course-v1:OpenedX+Nobody+2026"

pytestmark = pytest.mark.django_db


def inserted_by_itself() -> int:
    """1 where each progress and each badge is: MySQL (not MariaDB) tells no keys of many rows."""
    return 0 if connection.features.can_return_rows_from_bulk_insert else 1


def many_templates(site: Site, number: int, per: str = "", **asks: Any) -> None:
    """Beside the site's own, so many active templates that ask for another course.

    `asks` are columns of the requirements of all of them.
    """
    rows = bulk.create(
        [
            Template(uuid=uuid4(), organization=site.organization, name=str(each), active=True, per=per)
            for each in range(number)
        ]
    )
    requirements = bulk.create([Requirement(template=row, slug="other", event_type=PASSING, **asks) for row in rows])
    Template.objects.filter(pk=site.template.pk).update(per=per)
    Requirement.objects.filter(template=site.template).update(**asks)
    for path, value in (("is_passing", "true"), ("course.course_key", OTHERS_COURSE)):
        RequirementRule.objects.bulk_create(
            RequirementRule(requirement=each, data_path=path, operator="eq", value=value) for each in requirements
        )
    ConfigurationVersion.renew()
    ruleset.current()
    clock_change.notice()  # a process's first time asks the database


def queries(work: Callable[[Any], Any], argument: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        work(argument)
    return sum(not query["sql"].startswith(("SAVEPOINT", "RELEASE SAVEPOINT")) for query in captured)


def store(events: Sequence[LmsEvent]) -> None:
    inbox.store([message(event, f"{each}-0") for each, event in enumerate(events, start=1)], TOPIC)


def way(events: Sequence[LmsEvent]) -> dict[str, int]:
    """How many queries each stage takes for these events, which all earn or lose a badge; `issue` for one badge."""
    ids = [event.id for event in events]
    counts = {"store": queries(store, events)}
    counts |= {"evaluate": queries(stages.evaluate, ids), "persist": queries(stages.persist, ids)}
    due = list(Badge.objects.filter(due_at__isnull=False))
    assert len(due) == len(events)
    issuing = set()
    for row in due:
        make_due(row)
        issuing.add(queries(stages.issue, row.pk))
    [counts["issue"]] = issuing
    pending = list(Signal.objects.filter(state="pending").values_list("pk", flat=True))
    assert len(pending) == len(events)
    return counts | {"emit": queries(stages.emit, pending)}


@pytest.mark.parametrize("templates", TEMPLATES)
def test_one_event_takes_these_queries_to_a_badge_whatever_the_number_of_templates(
    site: Site, bus: Redis, templates: int
):
    many_templates(site, templates)
    assert way([passes(lms_learner(), 1)]) == {"store": STORE, "evaluate": 5, "persist": 14, "issue": 5, "emit": 5}


@pytest.mark.parametrize("templates", TEMPLATES)
def test_one_event_takes_these_queries_to_a_revocation_whatever_the_number_of_templates(
    site: Site, bus: Redis, templates: int
):
    many_templates(site, templates)
    who = lms_learner()
    way([passes(who, 1)])
    assert way([fails(who, 2)]) == {"store": STORE, "evaluate": 5, "persist": 13, "issue": 7, "emit": 5}


@pytest.mark.parametrize("templates", TEMPLATES)
def test_events_that_nothing_matches_take_these_queries_whatever_their_number_and_that_of_templates(
    site: Site, templates: int
):
    many_templates(site, templates)
    for number in TOGETHER:
        events = [passes(lms_learner(), 1, MATH) for _ in range(number)]
        store(events)
        assert queries(stages.evaluate, [event.id for event in events]) == 3
        assert {stored(event).status for event in events} == {"ignored"}


@pytest.mark.parametrize("events", TOGETHER)
def test_events_that_earn_badges_together_take_as_many_queries_as_two(site: Site, bus: Redis, events: int):
    many_templates(site, 10)
    earned = way([passes(lms_learner(), 1) for _ in range(events)])
    one_by_one = 2 * (events - 1) * inserted_by_itself()
    assert earned == {"store": STORE, "evaluate": 2, "persist": 13 + one_by_one, "issue": 5, "emit": 5}


@pytest.mark.parametrize("events", TOGETHER)
def test_events_that_lose_badges_together_take_as_many_queries_as_two(site: Site, bus: Redis, events: int):
    many_templates(site, 10)
    learners = [lms_learner() for _ in range(events)]
    way([passes(who, 1) for who in learners])
    assert way([fails(who, 2) for who in learners]) == {
        "store": STORE,
        "evaluate": 2,
        "persist": 12,
        "issue": 7,
        "emit": 5,
    }


@pytest.mark.parametrize("templates", TEMPLATES)
def test_a_requirement_that_counts_takes_two_queries_more_whatever_the_number_of_templates(
    site: Site, bus: Redis, templates: int
):
    many_templates(site, templates, count=2)
    who = lms_learner()
    deliver(passes(who, 1))
    assert way([passes(who, 2)]) == {"store": STORE, "evaluate": 5, "persist": 15, "issue": 5, "emit": 5}
    assert way([fails(who, 3)]) == {"store": STORE, "evaluate": 5, "persist": 15, "issue": 7, "emit": 5}


@pytest.mark.parametrize("before", TOGETHER)
def test_a_requirement_that_counts_takes_as_many_queries_after_many_events_as_after_two(
    site: Site, bus: Redis, before: int
):
    many_templates(site, 10, count=before + 1)
    who = lms_learner()
    deliver(*(passes(who, minute) for minute in range(before)))
    assert way([passes(who, before)]) == {"store": STORE, "evaluate": 5, "persist": 15, "issue": 5, "emit": 5}


@pytest.mark.parametrize("templates", TEMPLATES)
def test_a_badge_per_value_takes_these_queries_whatever_the_number_of_templates(site: Site, bus: Redis, templates: int):
    many_templates(site, templates, per="course.course_key")
    who = lms_learner()
    assert way([passes(who, 1)]) == {"store": STORE, "evaluate": 5, "persist": 14, "issue": 9, "emit": 5}
    assert way([fails(who, 2)]) == {"store": STORE, "evaluate": 5, "persist": 13, "issue": 8, "emit": 5}


@pytest.mark.parametrize("held", TOGETHER)
def test_one_more_badge_per_value_takes_as_many_queries_beside_many_others_as_beside_two(
    site: Site, bus: Redis, held: int
):
    many_templates(site, 10, per="course.course_key")
    path = f"/badge_templates/{site.academy.template}"
    site.academy.call("PUT", path, json={"allow_duplicate_badges": True})
    site.template.requirements.get().rules.filter(data_path="course.course_key").delete()
    ConfigurationVersion.renew()
    who = lms_learner()
    deliver(*(passes(who, 1, f"course-v1:OpenedX+{number}+2026") for number in range(held)))
    for row in Badge.objects.all():
        make_due(row)
        stages.issue(row.pk)
    assert len(site.live()) == held
    Signal.objects.update(state="sent", due_at=None)
    assert way([passes(who, 2)]) == {"store": STORE, "evaluate": 5, "persist": 14, "issue": 9, "emit": 5}


@pytest.mark.parametrize("events", TOGETHER)
def test_events_that_count_together_take_as_many_queries_as_two(site: Site, bus: Redis, events: int):
    many_templates(site, 10, count=2, per="course.course_key")
    learners = [lms_learner() for _ in range(events)]
    deliver_together([passes(who, 1) for who in learners])
    earned = way([passes(who, 2) for who in learners])
    one_by_one = (events - 1) * inserted_by_itself()
    assert earned == {"store": STORE, "evaluate": 2, "persist": 14 + one_by_one, "issue": 9, "emit": 5}


def test_control_a_query_per_event_would_be_counted(site: Site):
    events = [passes(lms_learner(), 1, DEMO) for _ in range(3)]
    store(events)
    assert queries(lambda each: [stored(event).status for event in each], events) == 3
