"""What is wrong with requirements, penalties and rules, in words and at the right field."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bus.catalogue import event_types, kinds
from pipeline.configuration.conditions import (
    BADGE_EVENTS,
    TEMPLATE_PATH,
    Problem,
    Wanted,
    operators,
    order_problems,
    per_change_problem,
    per_problem,
    requirement_problems,
    rule_problem,
)
from pipeline.ledgers import outbox
from pipeline.models import Operator
from pipeline.rules import Rule
from tests.bus.examples import PASSING
from tests.configuration.files import CCX_EVENT

ENROLLED = "org.openedx.learning.course.enrollment.created.v1"
KEY = "course-v1:OpenedX+DemoX+Demo_Course"
OTHER_KEY = "course-v1:OpenedX+Other+2026"
AWARDED = BADGE_EVENTS[0]
UUID_TEXT = "0f1e2d3c-4b5a-4678-9a0b-1c2d3e4f5a6b"
TYPE_WORDS = ["boolean", "integer", "number", "time", "text", "course key", "usage key", "UUID"]
MARCH, JULY = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


def badge(**fields: Any) -> Wanted:
    return Wanted("badge", AWARDED, ((TEMPLATE_PATH, "eq", UUID_TEXT),), **fields)


def course(**fields: Any) -> Wanted:
    return Wanted("courses", PASSING, **fields)


def only(problems: list[Problem]) -> tuple[str, str]:
    [problem] = problems
    return problem.field, problem.message


class TestRules:
    @pytest.mark.parametrize(
        ("type_word", "offered"),
        [
            ("boolean", "eq ne exists"),
            ("integer", "eq ne gt ge lt le in not_in exists"),
            ("number", "eq ne gt ge lt le in not_in exists"),
            ("time", "eq ne gt ge lt le exists"),
            ("text", "eq ne in not_in contains starts_with matches exists"),
            ("course key", "eq ne in not_in contains starts_with matches exists"),
            ("usage key", "eq ne in not_in contains starts_with matches exists"),
            ("UUID", "eq ne in not_in exists"),
        ],
    )
    def test_the_type_of_the_key_path_decides_which_operators_are_offered(self, type_word: str, offered: str):
        assert list(operators(type_word)) == offered.split()

    def test_of_an_unknown_type_all_operators_are_offered(self):
        assert operators("") == tuple(Operator.values)

    def test_an_operator_of_another_type_is_refused_with_those_there_are(self):
        assert rule_problem("boolean", "gt", "true") == Problem(
            "operator", "“gt” is no operator for a value of the type boolean.", "eq, ne, exists"
        )

    @pytest.mark.parametrize(
        ("type_word", "operator", "value"),
        [
            ("boolean", "ne", "yes"),
            ("boolean", "exists", "false"),
            ("integer", "in", "25\n25.0\n2.5e1"),
            ("integer", "gt", "24.5"),
            ("integer", "eq", "25.0"),
            ("time", "lt", "2026-05-01T12:00:00Z"),
            ("time", "eq", "2026-05-01T12:00:00"),
            ("time", "ne", "2026-05-01T12:00:00.5"),
            ("text", "in", "a\n b "),
            ("text", "eq", ""),
            ("course key", "in", f"{KEY}\n{OTHER_KEY}"),
            ("course key", "starts_with", "course-v1:OpenedX+"),
            ("usage key", "contains", "+type@problem+"),
            ("course key", "matches", r"course-v1:OpenedX\+.*"),
            ("text", "exists", "true"),
            ("UUID", "not_in", UUID_TEXT),
            ("", "gt", "anything"),
        ],
    )
    def test_a_value_that_fits_operator_and_type_is_fine(self, type_word: str, operator: str, value: str):
        assert rule_problem(type_word, operator, value) is None

    @pytest.mark.parametrize(
        ("type_word", "operator", "value", "words", "allowed"),
        [
            ("boolean", "eq", "maybe", "“maybe” does not fit the type of the key path, boolean.", "true True"),
            ("integer", "eq", "25.5", "“25.5” does not fit", "a whole number such as 25"),
            ("integer", "ge", "many", "“many” does not fit the type of the key path, integer.", "a number such as"),
            ("time", "lt", "2026-05-01", "does not fit", "a time with its zone"),
            ("time", "eq", "2026-05-01", "does not fit", "a time with its zone"),
            ("time", "ge", "2026-05-01T12:00:00", "does not fit", "a time with its zone"),
            (
                "course key",
                "in",
                f"{KEY}\nDemo",
                "“Demo” does not fit the type of the key path, course key.",
                "such as",
            ),
            ("text", "in", "", "“in” needs at least one value", ""),
            ("text", "not_in", "\n", "“not_in” needs at least one value", ""),
            ("text", "contains", "", "“contains” needs a value.", ""),
            ("text", "starts_with", "", "“starts_with” needs a value.", ""),
            ("text", "matches", "", "“matches” needs a value.", ""),
            ("text", "matches", "a(b", "'a(b' is not a regular expression: missing ): a(b.", "RE2"),
            ("text", "matches", r"(a)\1", "invalid escape sequence", "RE2"),
            ("text", "matches", "(?=a)", "is not a regular expression", "RE2"),
            ("text", "matches", "(((a{1,100}){1,100}){1,100})", "is not a regular expression", "RE2"),
            ("text", "exists", "perhaps", "“perhaps” says neither", "true, false"),
            ("integer", "exists", "", "says neither", "true, false"),
            ("UUID", "eq", UUID_TEXT.upper(), "does not fit", "lower case"),
            ("", "exists", "perhaps", "says neither", "true, false"),
        ],
    )
    def test_a_value_that_does_not_fit_is_refused_in_words(
        self, type_word: str, operator: str, value: str, words: str, allowed: str
    ):
        problem = rule_problem(type_word, operator, value)
        assert problem is not None
        assert problem.field == "value"
        assert words in problem.message
        assert allowed in problem.allowed

    @pytest.mark.parametrize("event_type", [PASSING, CCX_EVENT, "org.openedx.learning.exam.attempt.submitted.v1"])
    @given(data=st.data(), operator=st.sampled_from(Operator.values), value=st.text() | st.sampled_from(["1", "x"]))
    def test_a_rule_without_a_problem_compiles(self, event_type: str, data: st.DataObject, operator: str, value: str):
        path = data.draw(st.sampled_from(sorted(event_types()[event_type].key_paths)))
        type_word = type_word_of(event_type, path)
        if rule_problem(type_word, operator, value) is None:
            Rule(path, operator, value, kinds(event_type)[path])


def type_word_of(event_type: str, path: str) -> str:
    leaf = event_types()[event_type].key_paths[path].__name__
    return {"bool": "boolean", "int": "integer", "str": "text", "datetime": "time", "UsageKey": "usage key"}.get(
        leaf, "course key"
    )


class TestRequirements:
    @pytest.mark.parametrize(
        "wanted",
        [
            course(),
            course(count=5),
            course(count=1000, distinct="course.course_key", within=timedelta(days=90)),
            course(count=2, distinct="course.course_key", rules=(("course.course_key", "in", f"{KEY}\n{OTHER_KEY}"),)),
            course(count=2, distinct="is_passing", rules=(("is_passing", "exists", "true"),)),
            course(counts_from=MARCH, counts_until=JULY, after="another"),
            course(distinct="course.course_key"),
            badge(),
            Wanted("badges", BADGE_EVENTS[1], ((TEMPLATE_PATH, "in", f"{UUID_TEXT}\n{UUID(int=7)}"),), count=2),
            Wanted("unknown", "no.such.event.v1", count=2, distinct="anything"),
        ],
    )
    def test_what_makes_sense_is_fine(self, wanted: Wanted):
        assert requirement_problems(wanted) == []

    @pytest.mark.parametrize(
        ("wanted", "field", "words"),
        [
            (course(count=0), "count", "0 events can't be asked for."),
            (course(count=1001), "count", "1001 events can't be asked for."),
            (course(distinct="course.start"), "distinct", "“course.start” is a time"),
            (
                Wanted(slug="new", event_type=ENROLLED, count=2, distinct="created_by.pii.email"),
                "distinct",
                "“created_by.pii.email” names a person",
            ),
            (badge(counts_from=MARCH), "from", "The time of a badge's event is when Credly had it"),
            (badge(counts_until=MARCH), "until", "The time of a badge's event is when Credly had it"),
            (badge(count=2, within=timedelta(1)), "within", "The time of a badge's event is when Credly had it"),
            (badge(after="another"), "after", "The time of a badge's event is when Credly had it"),
            (course(within=timedelta(days=90)), "within", "With a count of 1 this has no meaning"),
            (
                course(count=2, distinct="course.ccx_course_key"),
                "distinct",
                "is no key path of “Course passed or failed”",
            ),
            (course(count=2, distinct="user.pii.email"), "distinct", "“user.pii.email” is no key path"),
            (course(counts_from=JULY, counts_until=MARCH), "until", "not later than the beginning"),
            (course(counts_from=JULY, counts_until=JULY), "until", "not later than the beginning"),
            (
                course(count=2, distinct="course.course_key", rules=(("course.course_key", "eq", KEY),)),
                "count",
                "No more than 1 different values of course.course_key",
            ),
            (
                course(count=3, distinct="course.course_key", rules=(("course.course_key", "in", f"{KEY}\n{KEY}\nb"),)),
                "count",
                "No more than 2 different values",
            ),
            (
                course(count=3, distinct="is_passing"),
                "count",
                "No more than 2 different values of is_passing can match.",
            ),
            (course(count=2, distinct="is_passing", rules=(("is_passing", "eq", "yes"),)), "count", "No more than 1 "),
            (
                course(count=2, distinct="is_passing", rules=(("is_passing", "ne", "false"),)),
                "count",
                "No more than 1 ",
            ),
            (Wanted("badge", AWARDED), "rules", "“Badge awarded” needs a rule that says whose badge: template.uuid"),
            (Wanted("badge", AWARDED, ((TEMPLATE_PATH, "ne", UUID_TEXT),)), "rules", "operators eq, in."),
            (Wanted("badge", AWARDED, ((TEMPLATE_PATH, "eq", "Gold"),)), "rules", "“Gold” at template.uuid is no id"),
            (Wanted("badge", AWARDED, ((TEMPLATE_PATH, "in", f"{UUID_TEXT}\nx"),)), "rules", "“x” at template.uuid"),
        ],
    )
    def test_what_makes_no_sense_is_refused_at_its_field(self, wanted: Wanted, field: str, words: str):
        found_field, message = only(requirement_problems(wanted))
        assert found_field == field
        assert words in message

    def test_values_that_differ_from_badge_to_badge_cannot_differ_within_one(self):
        wanted = course(count=5, distinct="course.course_key")
        field, message = only(requirement_problems(wanted, per="course.course_key"))
        assert field == "distinct"
        assert "never differ within one badge" in message

    def test_all_problems_are_told_at_once(self):
        wanted = course(distinct="nothing", within=timedelta(1), counts_from=JULY, counts_until=MARCH)
        assert [each.field for each in requirement_problems(wanted)] == ["within", "distinct", "until"]

    def test_a_problem_reads_as_a_sentence_with_what_is_allowed(self):
        [problem] = requirement_problems(course(count=0))
        assert str(problem) == "0 events can't be asked for. Allowed: 1 to 1000."
        assert str(Problem("until", "Too early.")) == "Too early."

    def test_the_badge_events_are_our_signals(self):
        assert BADGE_EVENTS == (outbox.AWARDED, outbox.REVOKED)


class TestOrder:
    def test_requirements_may_come_after_each_other_in_a_row(self):
        wanted = [course_of("c", "b"), course_of("b", "a"), course_of("a"), course_of("d", "b")]
        assert order_problems(wanted) == {}

    def test_what_comes_after_nothing_there_is_is_refused(self):
        [(slug, problem)] = order_problems([course_of("a", "x"), course_of("b")]).items()
        assert (slug, problem) == ("a", Problem("after", "“x” is no requirement of this template.", "b"))

    def test_after_a_badge_is_refused_for_its_time_is_credlys(self):
        [(slug, problem)] = order_problems([badge(), course_of("a", "badge")]).items()
        assert (slug, problem.field) == ("a", "after")
        assert "when Credly had it" in problem.message

    def test_what_comes_after_itself_is_refused(self):
        problems = order_problems([course_of("a", "a")])
        assert problems == {"a": Problem("after", "A requirement can't come after itself.")}

    @pytest.mark.parametrize("order", list(permutations(range(4))))
    def test_a_circle_is_refused_at_each_that_is_on_it(self, order: tuple[int, ...]):
        wanted = [course_of("a", "c"), course_of("b", "a"), course_of("c", "b"), course_of("behind", "a")]
        problems = order_problems([wanted[index] for index in order])
        assert set(problems) == {"a", "b", "c"}
        assert "in a circle: b after a after c after b." in problems["b"].message

    @pytest.mark.parametrize("between", [0, 2])
    def test_what_comes_after_something_that_begins_when_its_own_time_is_over_is_refused(self, between: int):
        def wanted(first: datetime | None, last: datetime | None) -> list[Wanted]:
            way = [Wanted("first", PASSING, counts_from=first)]
            way += [course_of(str(number), way[-1].slug) for number in range(1, between)]
            return [*way, Wanted("last", PASSING, counts_until=last, after=way[-1].slug)]

        [(slug, problem)] = order_problems(wanted(JULY, JULY)).items()
        assert (slug, problem.field) == ("last", "after")
        assert problem.message == (
            "“first”, which must be fulfilled before, counts from 2026-07-01 on, and this one until 2026-06-30: no event "
            "would ever count."
        )
        assert order_problems(wanted(JULY, MARCH)).keys() == {"last"}
        for first, last in ((MARCH, JULY), (JULY, None), (None, JULY)):
            assert order_problems(wanted(first, last)) == {}

    def test_what_comes_after_a_circle_is_not_lost_in_it(self):
        wanted = [course_of("a", "b"), course_of("b", "a"), Wanted("c", PASSING, counts_until=MARCH, after="a")]
        assert order_problems(wanted).keys() == {"a", "b"}


def course_of(slug: str, after: str = "") -> Wanted:
    return Wanted(slug, PASSING, after=after)


class TestOneBadgePerValue:
    @pytest.mark.parametrize("allows_duplicates", [True, None])
    def test_it_needs_a_path_of_every_event_type(self, allows_duplicates: bool | None):
        path = "course.course_key"
        assert per_problem(path, [PASSING, PASSING], allows_duplicates=allows_duplicates) is None
        problem = per_problem(path, [PASSING, CCX_EVENT], allows_duplicates=allows_duplicates)
        assert problem is not None
        assert problem.field == "per"
        assert "is no key path of “Custom course (CCX) passed or failed”" in problem.message
        assert "course.ccx_course_key" in problem.allowed

    def test_a_badge_for_each_time_is_refused(self):
        problem = per_problem("course.start", [PASSING], allows_duplicates=True)
        assert problem is not None
        assert "“course.start” is a time" in problem.message

    def test_a_badge_for_each_person_s_name_is_refused(self):
        problem = per_problem("created_by.pii.name", [ENROLLED], allows_duplicates=True)
        assert problem is not None
        assert "“created_by.pii.name” names a person" in problem.message

    @pytest.mark.parametrize("event_types", [[], ["no.such.event.v1"]])
    def test_it_needs_a_path_that_some_event_type_has_where_no_other_is_known(self, event_types: list[str]):
        problem = per_problem("nonsense", event_types, allows_duplicates=None)
        assert problem is not None
        assert problem.message == "“nonsense” is no key path of any event type that badges may use."
        assert "course.ccx_course_key" in problem.allowed
        assert per_problem("course.ccx_course_key", event_types, allows_duplicates=None) is None

    @pytest.mark.parametrize(
        ("stored", "per"), [("", "is_passing"), ("is_passing", ""), ("is_passing", "course.start")]
    )
    def test_what_learners_go_by_stays_as_it_is(self, stored: str, per: str):
        problem = per_change_problem(stored, per)
        assert problem is not None
        assert (problem.field, problem.allowed) == ("per", stored or "none")
        assert "make a new template" in problem.message
        assert per_change_problem(stored, stored) is None

    def test_it_needs_duplicates_at_credly(self):
        problem = per_problem("course.course_key", [PASSING], allows_duplicates=False)
        assert problem is not None
        assert problem.field == "per"
        assert "only once" in problem.message

    @pytest.mark.parametrize("allows_duplicates", [True, False, None])
    def test_one_badge_in_all_needs_nothing(self, allows_duplicates: bool | None):
        assert per_problem("", [PASSING, "no.such.event.v1"], allows_duplicates=allows_duplicates) is None
