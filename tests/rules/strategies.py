"""Random configuration and events, from domains so small that coincidences and ties are common."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from pipeline.rules import OPERATORS, Kind, Penalty, Requirement, Rule, Template

from .oracle import Event

START = datetime(2030, 1, 1, tzinfo=UTC)
EVENT_TYPES = ("passed", "enrolled")
KINDS: dict[str, Kind] = {"grade": "number", "due": "time"}
PATHS = ("is_passing", "grade", "due", "course", "course.course_key", "course.course_key.run")
TEXTS = ("true", "yes", "+", "False", "-", "TRUE", "5", "5.0", "1", "0", "None", "", "course-v1:X", "{}")
NUMBERS = ("5", "5.0", "0", "-1", "0.1", "1e1")
TIMES = ("2030-01-01", "2030-01-01T00:00:00", "2030-01-01T02:00:00+02:00", "2029-12-31T23:30:00-01:00", "2030-01-02")
PATTERNS = ("", ".*", "course.*", "[0-9.]+", "(T|t)(RUE|rue)", "([a-z-]*)*X")

containers = st.one_of(st.just([]), st.just({}))
leaves = st.one_of(st.none(), st.booleans(), st.sampled_from((0, 1, 5, 5.0, 0.1)), st.sampled_from(TEXTS), containers)
# A text at a path of numbers is never one that reads as a number: the schema of an event forbids it.
numbers = st.one_of(st.none(), st.booleans(), st.sampled_from((0, 1, 5, 5.0, 0.1, 10, -1)), st.just("A"), containers)
times = st.one_of(st.none(), st.booleans(), st.sampled_from(TIMES), st.sampled_from(("soon", "", 5)), containers)
courses = st.one_of(leaves, st.fixed_dictionaries({}, optional={"course_key": leaves, "run": leaves}))
payloads = st.fixed_dictionaries({}, optional={"is_passing": leaves, "grade": numbers, "due": times, "course": courses})

ORDERED = ("gt", "ge", "lt", "le")
EXPECTED = {"number": st.sampled_from(NUMBERS), "time": st.sampled_from(TIMES), "text": st.sampled_from(TEXTS)}


@st.composite
def _rules(draw: st.DrawFn, operators: tuple[str, ...] = tuple(OPERATORS)) -> Rule:
    path = draw(st.sampled_from(PATHS))
    kind = KINDS.get(path, "text")
    operator = draw(st.sampled_from([each for each in operators if kind != "text" or each not in ORDERED]))
    expected = EXPECTED[kind] if operator in ORDERED else EXPECTED[kind] | EXPECTED["text"]
    match operator:
        case "in" | "not_in":
            values = st.lists(expected.filter(bool), min_size=1, max_size=3).map("\n".join)
        case "matches":
            values = st.sampled_from(PATTERNS)
        case "exists":
            values = st.sampled_from(("true", "false"))
        case _:
            values = expected
    return Rule(path, operator, draw(values), kind)


rules = _rules()
rule_tuples = st.lists(_rules(("eq", "ne")) | rules, max_size=2).map(tuple)
event_types = st.sampled_from(EVENT_TYPES)


@st.composite
def templates(draw: st.DrawFn, id: int) -> Template:
    """A template with up to four requirements and two penalties; requirement ids are unique over all."""
    ids = range(id * 10, id * 10 + draw(st.integers(0, 4)))
    groups = st.sampled_from((None, "A", "B"))
    conditions = [(draw(event_types), draw(groups), draw(rule_tuples)) for _ in ids]
    moments = st.none() | st.integers(0, 3).map(day)
    requirements = tuple(
        Requirement(each, id, *parts, counts_from=draw(moments), counts_until=draw(moments))
        for each, parts in zip(ids, conditions, strict=True)
    )
    subsets = st.frozensets(st.sampled_from(ids)) if ids else st.just(frozenset[int]())
    penalties = tuple(
        Penalty(each, id, draw(event_types), draw(subsets), draw(rule_tuples))
        for each in range(id * 10, id * 10 + draw(st.integers(0, 2)))
    )
    per = draw(st.sampled_from((None, None, "course.course_key", "is_passing")))
    return Template(id, requirements, penalties, draw(st.booleans()), per)


@st.composite
def configurations(draw: st.DrawFn) -> list[Template]:
    """Up to six templates, in any order of their ids."""
    ids = draw(st.lists(st.integers(1, 50), unique=True, max_size=6))
    return [draw(templates(each)) for each in ids]


def day(number: float) -> datetime:
    return START + timedelta(days=number)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A set of different events, many at the same time."""
    ids = draw(st.lists(st.integers(0, 99), unique=True, max_size=8))
    times = st.integers(0, 3).map(day)
    return [Event(UUID(int=each), draw(times), draw(event_types), draw(payloads)) for each in ids]


@st.composite
def deliveries(draw: st.DrawFn, history: list[Event]) -> list[Event]:
    """The same events in any order, each at least once, some again."""
    repeats = draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    return draw(st.permutations(history + repeats))


PASSED = (Rule("is_passing", "eq", "true"),)
FAILED = (Rule("is_passing", "eq", "false"),)
COURSES = ("A", "B", "C", None)


@st.composite
def counting_templates(draw: st.DrawFn, id: int = 1) -> Template:
    """A template of one to three requirements that count, span time or follow one another, and up to two penalties."""
    ids = range(id * 10, id * 10 + draw(st.integers(1, 3)))
    requirements = tuple(_counting(draw, each, id, ids) for each in draw(st.permutations(ids)))
    subsets = st.frozensets(st.sampled_from(ids), min_size=1)
    strikes = st.sampled_from((FAILED, FAILED, PASSED, (Rule("course", "eq", "A"),)))
    penalties = tuple(
        Penalty(each, id, draw(mostly_passed), draw(subsets), draw(strikes))
        for each in range(id * 10, id * 10 + draw(st.integers(0, 2)))
    )
    return Template(id, requirements, penalties, draw(st.booleans()), draw(st.sampled_from((None, None, "run"))))


mostly_passed = st.sampled_from(("passed", "passed", "passed", "enrolled"))


def _counting(draw: st.DrawFn, id: int, template: int, ids: range) -> Requirement:
    count = draw(st.sampled_from((1, 2, 2, 3)))
    earlier = [each for each in ids if each < id]
    return Requirement(
        id=id,
        template=template,
        event_type=draw(mostly_passed),
        group=draw(st.sampled_from((None, "A"))),
        rules=draw(st.sampled_from((PASSED, PASSED, ()))),
        count=count,
        distinct=draw(st.sampled_from((None, "course", "course"))),
        within=draw(st.sampled_from((None, timedelta(0), timedelta(days=1), timedelta(days=2)))) if count > 1 else None,
        counts_from=draw(st.none() | st.integers(0, 3).map(day)) if draw(st.booleans()) else None,
        counts_until=draw(st.none() | st.integers(2, 5).map(day)) if draw(st.booleans()) else None,
        after=draw(st.sampled_from([None, *earlier])),
    )


@st.composite
def counting_histories(draw: st.DrawFn) -> list[Event]:
    """A set of different events that mostly mean something to such a template, many at the same time."""
    ids = draw(st.lists(st.integers(0, 99), unique=True, min_size=1, max_size=9))
    return [
        Event(
            UUID(int=each),
            day(draw(st.integers(0, 5))),
            draw(mostly_passed),
            {
                "is_passing": draw(st.sampled_from((True, True, False))),
                "course": draw(st.sampled_from(COURSES)),
                "run": draw(st.sampled_from(("1", "1", "2", "", None))),
            },
        )
        for each in ids
    ]
