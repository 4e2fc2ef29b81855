"""Counting, time, order, lists and badges per value on their way into the tables."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from pipeline.configuration.exporting import export_configuration
from pipeline.configuration.places import DocumentError
from pipeline.models import (
    Badge,
    ConfigurationVersion,
    Fulfillment,
    Occurrence,
    Organization,
    Progress,
    Requirement,
    RequirementRule,
    Template,
)
from pipeline.models.configuration import BADGE_EVENTS
from tests.configuration.files import COURSE_EVENT, TEMPLATE, example, imported, lines
from tests.ledgers import builders

pytestmark = pytest.mark.django_db

INTRO = f'template "Intro Course" ({TEMPLATE})'
RICH: dict[str, Any] = {
    "id": "five",
    "event_type": COURSE_EVENT,
    "count": 5,
    "distinct": "course.course_key",
    "within": "90d",
    "from": "2026-03-01",
    "until": "2026-06-30",
    "after": "demo-course",
    "rules": [
        {"data_path": "is_passing", "operator": "exists", "value": True},
        {"data_path": "course.display_name", "operator": "in", "value": ["Algebra", "Calculus", "a, b", "c", "d"]},
    ],
}


def with_requirements(*requirements: dict[str, Any]) -> dict[str, Any]:
    data = example()
    data["templates"][0]["requirements"] += copy.deepcopy(list(requirements))
    return data


def stored() -> list[dict[str, Any]]:
    return [*Requirement.objects.values(), *RequirementRule.objects.values(), *Template.objects.values()]


def test_all_of_it_is_stored():
    data = with_requirements(RICH)
    data["templates"][0]["per"] = "course.display_name"
    imported(data)
    row = Requirement.objects.get(slug="five")
    assert (row.count, row.distinct, row.within) == (5, "course.course_key", timedelta(days=90))
    assert row.counts_from == datetime(2026, 3, 1, tzinfo=UTC)
    assert row.counts_until == datetime(2026, 7, 1, tzinfo=UTC)
    assert row.after == Requirement.objects.get(slug="demo-course")
    assert [str(rule) for rule in row.rules.all()] == [
        "is_passing exists true",
        "course.display_name in Algebra\nCalculus\na, b\nc\nd",
    ]
    assert Template.objects.get().per == "course.display_name"


def test_the_second_import_changes_nothing_not_even_the_version():
    data = with_requirements(RICH)
    imported(data)
    version, rows = ConfigurationVersion.current(), stored()
    assert imported(data) == []
    assert ConfigurationVersion.current() == version
    assert stored() == rows


def test_other_ways_to_write_the_same_change_nothing():
    imported(with_requirements(RICH))
    same = {
        **RICH,
        "within": "2160h",
        "from": "2026-03-01T01:00:00+01:00",
        "until": "2026-07-01T00:00:00Z",
    }
    assert imported(with_requirements(same)) == []


def test_each_change_is_told_in_the_words_of_the_file():
    imported(with_requirements(RICH))
    plain = {"id": "five", "event_type": COURSE_EVENT, "rules": RICH["rules"][:1]}
    assert lines(imported(with_requirements(plain))) == [
        f"  {INTRO}",
        '  ~ requirement five: count 5 -> 1, distinct "course.course_key" -> none, within 90d -> none, '
        "from 2026-03-01T00:00:00+00:00 -> none, until 2026-07-01T00:00:00+00:00 -> none, after demo-course -> none, "
        "rules [is_passing exists true; "
        'course.display_name in (Algebra, Calculus, "a, b", c, d)] -> [is_passing exists true]',
    ]
    data = with_requirements({**plain, "count": 2, "within": "36h"})
    data["templates"][0]["per"] = "course.course_key"
    assert lines(imported(data)) == [
        f'~ {INTRO}: per none -> "course.course_key"',
        "  ~ requirement five: count 1 -> 2, within none -> 36h",
    ]


def test_a_requirement_may_come_after_one_that_stands_behind_it_in_the_file():
    first, second = ({"id": each, "event_type": COURSE_EVENT} for each in ("first", "second"))
    told = lines(imported(with_requirements({**first, "after": "second"}, second)))
    assert told[3:5] == ["  + requirement first", "  + requirement second"]
    assert [row.slug for row in Requirement.objects.all()] == ["demo-course", "first", "second"]
    assert Requirement.objects.get(slug="first").after == Requirement.objects.get(slug="second")


def test_the_order_may_be_turned_around():
    first, second = ({"id": each, "event_type": COURSE_EVENT} for each in ("first", "second"))
    imported(with_requirements(first, {**second, "after": "first"}))
    assert lines(imported(with_requirements({**first, "after": "second"}, second)))[1:] == [
        "  ~ requirement first: after none -> second",
        "  ~ requirement second: after first -> none",
    ]


def test_a_requirement_that_another_comes_after_may_go_when_that_one_does_or_lets_go_of_it():
    row = {"event_type": COURSE_EVENT}
    chain = [{**row, "id": "a"}, {**row, "id": "b", "after": "a"}, {**row, "id": "c", "after": "b"}]
    imported(with_requirements(*chain))
    assert lines(imported(with_requirements({**row, "id": "c"}))) == [
        f"  {INTRO}",
        "  ~ requirement c: after b -> none",
        "  - requirement a",
        "  - requirement b",
    ]


def test_a_requirement_that_another_comes_after_may_not_go_alone():
    row = {"event_type": COURSE_EVENT}
    imported(with_requirements({**row, "id": "a"}, {**row, "id": "b", "after": "a"}))
    with pytest.raises(DocumentError, match="“a” is no requirement of this template; allowed: demo-course"):
        imported(with_requirements({**row, "id": "b", "after": "a"}))
    assert Requirement.objects.get(slug="b").after == Requirement.objects.get(slug="a")


def test_what_learners_have_begun_is_told_when_it_is_lost():
    imported(with_requirements(RICH))
    row = Requirement.objects.get(slug="five")
    now = datetime.now(tz=UTC)
    for number in range(3):
        progress = Progress.objects.create(learner=builders.learner(), template=row.template)
        for _ in range(2):
            Occurrence.objects.create(
                progress=progress, requirement=row, event=uuid4(), time=now, value="x", fulfills=number > 0
            )
    Fulfillment.objects.create(progress=progress, requirement=row, fulfilled=True, event=uuid4(), time=now, matched={})
    told = lines(imported(example()))
    assert told == [f"  {INTRO}", "  - requirement five: the progress of 2 learners in it is lost"]
    assert not Occurrence.objects.exists()


def test_a_badge_per_value_is_refused_once_a_sync_has_told_that_credly_does_not_allow_it():
    data = example()
    data["templates"][0]["per"] = "course.course_key"
    imported(data)
    Template.objects.update(synced_at=datetime.now(tz=UTC), allows_duplicates=True)
    assert imported(data) == []
    Template.objects.update(allows_duplicates=False)
    with pytest.raises(DocumentError, match=r"templates\[0\]\.per: Credly lets a learner hold this badge only once"):
        imported(data)


@pytest.mark.parametrize("kept", ["progress", "badge"])
@pytest.mark.parametrize(("stored", "wanted"), [("", "course.course_key"), ("course.course_key", "")])
def test_once_learners_have_something_of_it_a_template_keeps_what_it_has_a_badge_for(
    kept: str, stored: str, wanted: str
):
    data = example()
    data["templates"][0] |= {"per": stored} if stored else {}
    imported(data)
    row = Template.objects.get()
    if kept == "progress":
        Progress.objects.create(learner=builders.learner(), template=row, value="")
    else:
        builders.badge(template=row)
    data["templates"][0].pop("per", None)
    data["templates"][0] |= {"per": wanted} if wanted else {}
    with pytest.raises(DocumentError, match=r"templates\[0\]\.per: Learners have progress or badges of this template"):
        imported(data)
    Progress.objects.all().delete()
    Badge.objects.all().delete()
    assert len(imported(data)) == 1


def test_a_stored_time_without_a_zone_is_what_a_file_has_with_utc():
    rule = {"data_path": "course.start", "operator": "eq", "value": "2026-05-01T00:00:00"}
    data = with_requirements({"id": "start", "event_type": COURSE_EVENT, "rules": [rule]})
    imported(data)
    RequirementRule.objects.filter(data_path="course.start").update(value="2026-05-01T00:00:00")
    assert imported(data) == []
    text = export_configuration()
    assert "{data_path: course.start, operator: eq, value: '2026-05-01T00:00:00+00:00'}" in text
    assert imported(text) == []


def test_a_circle_through_a_template_that_the_file_does_not_mention_is_refused():
    imported(example())
    other = Template.objects.create(uuid=UUID(int=9), organization=Organization.objects.get(), name="Other")
    builders.requirement(other, "intro", ("template.uuid", "eq", str(TEMPLATE)), type=BADGE_EVENTS[0])
    rule = {"data_path": "template.uuid", "operator": "eq", "value": str(other.uuid)}
    before = stored()
    with pytest.raises(DocumentError, match=f"{TEMPLATE} needs {other.uuid} needs {TEMPLATE}"):
        imported(with_requirements({"id": "badge", "event_type": BADGE_EVENTS[0], "rules": [rule]}))
    assert stored() == before


def test_a_dry_run_tells_the_same_and_changes_nothing():
    imported(example())
    before = stored()
    data = with_requirements(RICH)
    told = imported(data, dry_run=True)
    assert stored() == before
    assert imported(data) == told


def test_empty_lines_of_a_stored_list_are_no_difference():
    imported(with_requirements(RICH))
    RequirementRule.objects.filter(operator="in").update(value="\nAlgebra\n\nCalculus\na, b\nc\nd\n")
    assert imported(with_requirements(RICH)) == []
