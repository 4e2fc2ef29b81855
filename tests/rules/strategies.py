"""Random configuration and events, from domains so small that coincidences and ties are common."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from pipeline.rules import Penalty, Requirement, Rule, Template

from .oracle import Event

EVENT_TYPES = ("passed", "enrolled")
PATHS = ("is_passing", "grade", "course", "course.course_key", "course.course_key.run")
TEXTS = ("true", "yes", "+", "False", "-", "TRUE", "5", "5.0", "1", "0", "None", "", "course-v1:X", "{}")

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from((0, 1, 5, 5.0, 0.1)),
    st.sampled_from(TEXTS),
    st.just([]),
    st.just({}),
)
courses = st.one_of(leaves, st.fixed_dictionaries({}, optional={"course_key": leaves, "run": leaves}))
payloads = st.fixed_dictionaries({}, optional={"is_passing": leaves, "grade": leaves, "course": courses})

rules = st.builds(
    Rule, path=st.sampled_from(PATHS), operator=st.sampled_from(("eq", "ne")), value=st.sampled_from(TEXTS)
)
rule_tuples = st.lists(rules, max_size=2).map(tuple)
event_types = st.sampled_from(EVENT_TYPES)


@st.composite
def templates(draw: st.DrawFn, id: int) -> Template:
    """A template with up to four requirements and two penalties; requirement ids are unique over all."""
    ids = range(id * 10, id * 10 + draw(st.integers(0, 4)))
    groups = st.sampled_from((None, "A", "B"))
    conditions = [(draw(event_types), draw(groups), draw(rule_tuples)) for _ in ids]
    requirements = tuple(Requirement(each, id, *parts) for each, parts in zip(ids, conditions, strict=True))
    subsets = st.frozensets(st.sampled_from(ids)) if ids else st.just(frozenset[int]())
    penalties = tuple(
        Penalty(each, id, draw(event_types), draw(subsets), draw(rule_tuples))
        for each in range(id * 10, id * 10 + draw(st.integers(0, 2)))
    )
    return Template(id, requirements, penalties, draw(st.booleans()))


@st.composite
def configurations(draw: st.DrawFn) -> list[Template]:
    """Up to six templates, in any order of their ids."""
    ids = draw(st.lists(st.integers(1, 50), unique=True, max_size=6))
    return [draw(templates(each)) for each in ids]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A set of different events, many at the same time."""
    ids = draw(st.lists(st.integers(0, 99), unique=True, max_size=8))
    start = datetime(2030, 1, 1, tzinfo=UTC)
    times = st.integers(0, 3).map(lambda days: start + timedelta(days=days))
    return [Event(UUID(int=each), draw(times), draw(event_types), draw(payloads)) for each in ids]


@st.composite
def deliveries(draw: st.DrawFn, history: list[Event]) -> list[Event]:
    """The same events in any order, each at least once, some again."""
    repeats = draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    return draw(st.permutations(history + repeats))
