"""The rule in plain English says what the ruleset does."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipeline.lms.events import PASSING
from pipeline.models import Template
from pipeline.reports.sentence import WHOLE_RULE, formula, group_in_words, sentence
from tests.ledgers import builders
from tests.ledgers.builders import DEMO, FAILED, MATH, PASSED, course, penalty, requirement

REGISTERED = "org.openedx.learning.student.registration.completed.v1"
CCX = "org.openedx.learning.ccx.course.passing.status.updated.v1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def template() -> Template:
    """A template without requirements."""
    return builders.template()


def test_without_requirements_nothing_is_awarded(template: Template):
    assert sentence(template) == "Never awarded: there is no requirement."
    assert formula(template) == ""


def test_rules_are_told_with_their_values_and_only_booleans_as_such(template: Template):
    rules = (("is_passing", "eq", "yes"), ("course.course_key", "ne", "A/B/C"), ("course.display_name", "eq", "yes"))
    requirement(template, "demo", *rules)
    assert sentence(template) == (
        "Awarded when an event “Course passed or failed” comes in which is_passing is true and course.course_key is not "
        "“A/B/C” and course.display_name is “yes”. No event revokes it."
    )


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([PASSED], "the learner passes a course"),
        ([("is_passing", "ne", "no")], "the learner passes a course"),
        ([("is_passing", "ne", "true")], "the learner does not pass a course"),
        ([PASSED, course(DEMO)], f"the learner passes the course “{DEMO}”"),
        ([course(DEMO), FAILED], f"the learner does not pass the course “{DEMO}”"),
        ([PASSED, ("course.course_key", "ne", DEMO)], f"the learner passes a course other than “{DEMO}”"),
        ([], "the learner is graded as passing or not passing a course"),
        ([course(DEMO)], f"an event “Course passed or failed” comes in which course.course_key is “{DEMO}”"),
    ],
)
def test_passing_is_told_in_plain_words(template: Template, rules: list[tuple[str, str, str]], words: str):
    requirement(template, "demo", *rules)
    assert sentence(template).startswith(f"Awarded when {words}. ")


def test_a_custom_course_is_told_as_such(template: Template):
    requirement(template, "any", PASSED, type=CCX)
    assert "when the learner passes a custom course (CCX)." in sentence(template)


def test_a_description_goes_before_the_rules(template: Template):
    described = requirement(template, "demo", PASSED, group="A")
    requirement(template, "other", PASSED, group="A")
    template.requirements.update(description="100% of the demo course.")
    penalty(template, "failed", [described], FAILED)
    template.penalties.update(description="The exam is repeated")
    assert sentence(template).startswith(
        "Awarded when “100% of the demo course” is fulfilled. Revoked when “The exam is repeated” applies, unless "
        "“100% of the demo course” is still fulfilled."
    )


def test_what_alternatives_have_in_common_is_said_once(template: Template):
    for slug, key in [("demo", DEMO), ("math", MATH)]:
        requirement(template, slug, PASSED, course(key), group="A")
    requirement(template, "joined", type=PASSING, group="A")
    assert sentence(template).startswith(
        f"Awarded when either the learner passes the course “{DEMO}” or the course “{MATH}” or the learner is graded"
    )


def test_requirements_of_one_letter_are_alternatives_and_all_groups_are_needed(template: Template):
    requirement(template, "a", PASSED, group="A")
    requirement(template, "b", PASSED, group="B")
    requirement(template, "or-a", PASSED, group="A")
    requirement(template, "alone", PASSED)
    assert formula(template) == "a or or-a, and b, and alone"
    passed = "the learner passes a course"
    assert f"Awarded when {passed}, and {passed}, and {passed}." in sentence(template)


def test_requirements_without_a_letter_are_no_alternatives(template: Template):
    requirement(template, "one")
    requirement(template, "two")
    assert formula(template) == "one, and two"
    assert "either" not in sentence(template)


def test_a_penalty_revokes_for_good_unless_the_template_awards_again(template: Template):
    demo = requirement(template, "demo", PASSED)
    penalty(template, "failed", [demo], FAILED)
    assert sentence(template).endswith(
        "Revoked when the learner does not pass a course. Once revoked, it is not awarded again."
    )
    template.reaward = True
    assert sentence(template).endswith("May then be earned again.")


def test_an_alternative_that_still_stands_saves_the_badge(template: Template):
    spanish = requirement(template, "spanish", PASSED, group="L")
    requirement(template, "french", PASSED, group="L")
    penalty(template, "failed", [spanish], FAILED)
    assert "does not pass a course, unless “french” is still fulfilled." in sentence(template)


def test_a_penalty_on_every_alternative_is_saved_by_nothing(template: Template):
    both = [requirement(template, slug, PASSED, group="L") for slug in ("spanish", "french")]
    penalty(template, "failed", both, FAILED)
    assert "unless" not in sentence(template)


def test_a_penalty_that_strikes_one_group_wholly_is_saved_by_no_other_group(template: Template):
    spanish = requirement(template, "spanish", PASSED, group="L")
    requirement(template, "french", PASSED, group="L")
    alone = requirement(template, "alone", PASSED)
    penalty(template, "failed", [spanish, alone], FAILED)
    assert "unless" not in sentence(template)


def test_penalties_that_can_do_nothing_are_left_out(template: Template):
    demo = requirement(template, "demo", PASSED)
    penalty(template, "no-rule", [demo])
    penalty(template, "no-requirement", [], FAILED)
    penalty(template, "no-such-type", [demo], FAILED, type=REGISTERED)
    assert sentence(template).endswith("No event revokes it.")


def test_a_requirement_on_a_type_that_the_settings_do_not_list_never_happens(template: Template):
    requirement(template, "joined", type=REGISTERED)
    assert "the learner registers, which never happens: the settings do not list this event type" in sentence(template)


def test_a_group_says_what_it_means(template: Template):
    rows = [requirement(template, slug, group=group) for slug, group in [("a", "A"), ("b", "A"), ("c", "B"), ("d", "")]]
    assert [group_in_words(row, rows) for row in rows] == [
        "A: this, or b",
        "A: this, or a",
        "B: needed, as it has no alternative",
        "needed by itself",
    ]


def test_many_prefetched_templates_need_no_query_each():
    owner = builders.organization()
    for _number in range(3):
        row = builders.template(owner)
        penalty(row, "failed", [requirement(row, "demo", PASSED, course(builders.DEMO))], FAILED)
    templates = list(Template.objects.prefetch_related(*WHOLE_RULE))
    with CaptureQueriesContext(connection) as queries:
        assert len({sentence(template) for template in templates}) == 1
    assert len(queries) == 0
