"""What speaks against activating a template, each thing alone."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from pipeline.configuration.activation import event_type_problem, path_problem, problems
from pipeline.models import Template, TemplateState
from tests.bus.examples import AWARDED, PASSING
from tests.ledgers import builders
from tests.ledgers.builders import FAILED, PASSED, at, course, course_template, penalty, requirement

REGISTERED = "org.openedx.learning.student.registration.completed.v1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def template() -> Template:
    """One that nothing speaks against."""
    return course_template(active=False)


def only_problem(template: Template) -> str:
    [problem] = problems(Template.objects.get(pk=template.pk))
    return problem


def test_nothing_speaks_against_a_sound_template(template: Template):
    assert problems(template) == []


def test_a_template_without_requirements_is_refused():
    assert only_problem(builders.template(active=False)) == "It has no requirement."


def test_a_template_that_is_not_active_at_credly_is_refused(template: Template):
    template.state = TemplateState.ARCHIVED
    template.save()
    assert "in the state “archived”" in only_problem(template)


def test_an_organization_without_a_key_is_named(template: Template):
    template.organization.api_key = ""
    template.organization.save()
    assert "no API key" in only_problem(template)


def test_a_key_in_an_unset_environment_variable_is_no_key(template: Template, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    template.organization.api_key = "env:NO_SUCH_KEY"
    template.organization.save()
    assert "NO_SUCH_KEY" in only_problem(template)


def test_a_problem_never_tells_the_key(template: Template):
    template.organization.api_key = "a-secret-key"
    template.organization.save()
    template.state = TemplateState.DRAFT
    assert "a-secret-key" not in " ".join(problems(template))


def test_a_penalty_without_a_rule_is_refused(template: Template):
    penalty(template, "idle", list(template.requirements.all()))
    assert only_problem(template) == "Penalty “idle”: It has no rule, so it would do nothing."


def test_a_penalty_without_a_requirement_is_refused(template: Template):
    penalty(template, "aimless", [], FAILED)
    assert only_problem(template) == "Penalty “aimless”: It takes back no requirement."


def test_a_penalty_on_another_templates_requirement_is_refused(template: Template):
    other = requirement(builders.template(template.organization), "theirs", PASSED)
    penalty(template, "astray", [other], FAILED)
    assert only_problem(template) == "Penalty “astray”: It takes back a requirement of another template."


def test_an_event_type_that_the_settings_no_longer_list_is_refused(template: Template):
    requirement(template, "joined", type=REGISTERED)
    assert f"Requirement “joined”: The event type {REGISTERED}" in only_problem(template)


def test_a_key_path_of_another_event_type_is_refused_with_those_there_are(template: Template):
    requirement(template, "astray", ("course.ccx_course_key", "eq", "ccx-v1:a+b+c+ccx@1"))
    problem = only_problem(template)
    assert problem.startswith("Requirement “astray”: “course.ccx_course_key” is no key path of")
    assert "is_passing, course.course_key" in problem


def test_an_ignored_key_path_is_refused(template: Template):
    requirement(template, "nosy", ("user.pii.email", "eq", "ada@learners.example"))
    assert "“user.pii.email” is no key path" in only_problem(template)


def test_a_value_that_can_never_match_is_refused(template: Template):
    requirement(template, "maybe", ("is_passing", "eq", "maybe"))
    assert "Rule on is_passing: “maybe” does not fit the type of the key path, boolean." in only_problem(template)


def test_a_misspelt_course_key_is_refused_with_an_example(template: Template):
    requirement(template, "misspelt", course("course-v1:OpenedX+DemoX"))
    problem = only_problem(template)
    assert "course key. Allowed: a course key such as course-v1:OpenedX+DemoX+Demo_Course" in problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": 0}, "0 events can't be asked for. Allowed: 1 to 1000."),
        ({"distinct": "course.start"}, "“course.start” is a time"),
        ({"within": timedelta(days=90)}, "With a count of 1 this has no meaning"),
        ({"counts_from": at(1), "counts_until": at(0)}, "so no event would ever count."),
    ],
)
def test_a_senseless_requirement_is_refused(template: Template, changes: dict[str, Any], words: str):
    template.requirements.update(**changes)
    problem = only_problem(template)
    assert problem.startswith("Requirement “demo”: ")
    assert words in problem


def test_requirements_that_come_after_each_other_are_refused(template: Template):
    first = template.requirements.get()
    second = requirement(template, "second", PASSED)
    template.requirements.filter(pk=second.pk).update(after=first)
    assert problems(template) == []
    template.requirements.filter(pk=first.pk).update(after=second)
    found = problems(Template.objects.get(pk=template.pk))
    assert [problem.partition(":")[0] for problem in found] == ["Requirement “demo”", "Requirement “second”"]
    assert "in a circle: demo after second after demo." in found[0]


def test_an_operator_that_has_no_meaning_for_the_type_is_refused(template: Template):
    requirement(template, "greater", ("is_passing", "gt", "true"))
    assert "Rule on is_passing: “gt” is no operator for a value of the type boolean." in only_problem(template)


def test_a_pattern_that_is_none_is_refused(template: Template):
    requirement(template, "pattern", ("course.display_name", "matches", "a(b"))
    assert "'a(b' is not a regular expression" in only_problem(template)


def test_one_badge_per_value_needs_the_path_and_duplicates(template: Template):
    template.per = "course.course_key"
    assert problems(template) == []
    template.synced_at = timezone.now()
    assert [problem.partition(": ")[0] for problem in problems(template)] == [
        "One badge for each value of course.course_key"
    ]
    template.allows_duplicates = True
    assert problems(template) == []
    template.per = "course.ccx_course_key"
    assert "is no key path of" in " ".join(problems(template))


def test_templates_that_need_each_others_badges_are_refused_by_name(template: Template):
    other = course_template(template.organization, name="Other")
    for needy, needed in ((template, other), (other, template)):
        requirement(needy, "badge", ("template.uuid", "eq", str(needed.uuid)), type=AWARDED)
    assert only_problem(template) == (
        "It would need a badge of its own: “Intro Course” needs “Other” needs “Intro Course”."
    )


def test_all_problems_are_told_at_once():
    template = builders.template(builders.organization(api_key=""), active=False, state=TemplateState.DRAFT)
    penalty(template, "idle", [], course(builders.DEMO))
    assert len(problems(template)) == 4


def test_a_rule_on_an_unknown_event_type_is_judged_by_its_type_alone(template: Template):
    requirement(template, "unknown", ("anything", "gt", "maybe"), type="no.such.event.v1")
    assert only_problem(template).startswith("Requirement “unknown”: The event type no.such.event.v1 is not one")
    assert path_problem("no.such.event.v1", "anything") is None


@pytest.mark.parametrize("value", ["true", "True", "yes", "Yes", "+", "false", "False", "no", "No", "-"])
def test_every_spelling_of_a_boolean_fits(template: Template, value: str):
    requirement(template, "spelled", ("is_passing", "eq", value))
    assert problems(template) == []


def test_what_the_settings_list_may_be_used(settings: Any):
    settings.BADGES_CONFIG = settings.BADGES_CONFIG | {"events": [REGISTERED]}
    assert event_type_problem(REGISTERED) is None
    assert event_type_problem(PASSING) is not None
