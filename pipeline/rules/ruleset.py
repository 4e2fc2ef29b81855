"""Badge configuration as values, and its compiled form: which templates does an event touch?

A worker compiles a `Ruleset` once per configuration version and asks it about every event. The cost of an
answer depends on how many conditions the event can meet, not on how many templates there are.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .operators import Key, Kind, Test, compiled, key_of, keys_demanded, text_of, value_at


@dataclass(frozen=True, slots=True)
class Rule:
    """One comparison of the value at a key path with an expected text, as values of a kind.

    `keys` are those of which the value must have one; None if the rule does not demand certain ones.

    Raises ValueError when there is no such operator for the kind, or the expected text does not fit it.
    """

    path: str
    operator: str
    value: str
    kind: Kind = "text"
    keys: frozenset[Key] | None = field(init=False, compare=False, repr=False)
    _test: Test = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_test", compiled(self.operator, self.value, self.kind))
        object.__setattr__(self, "keys", keys_demanded(self.operator, self.value, self.kind))

    def matches(self, payload: Mapping[str, object]) -> bool:
        """Tell whether the payload satisfies this rule."""
        return self._test(value_at(payload, self.path))


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a learner must do: an event of one type that satisfies all rules; without rules, any such event.

    `template` is the id of the template it belongs to. Requirements of one template with the same `group`
    letter are alternatives; a requirement whose group is None is a group of its own.

    It may ask for more than one event: for `count` of them, which differ in the value at the path `distinct` (in
    nothing but themselves, if it is None), all of them `within` a span of time. And it may take only those from
    `counts_from` on, before `counts_until`, and later than what fulfilled the requirement with the id `after`.
    With `distinct` a penalty takes back the value that its event has there alone, even where one value is enough.
    `begun_anew` tells what was counted since its rules were last changed from what was before.
    """

    id: int
    template: int
    event_type: str
    group: str | None
    rules: tuple[Rule, ...]
    count: int = 1
    distinct: str | None = None
    within: timedelta | None = None
    counts_from: datetime | None = None
    counts_until: datetime | None = None
    after: int | None = None
    begun_anew: int = 0

    def matches(self, payload: Mapping[str, object], time: datetime) -> bool:
        """Tell whether an event of its type, of this time, counts for it."""
        return (
            self.spans(time)
            and all(rule.matches(payload) for rule in self.rules)
            and (self.distinct is None or self.value_in(payload) is not None)
        )

    def spans(self, time: datetime) -> bool:
        """Tell whether events of this time count."""
        return (self.counts_from is None or time >= self.counts_from) and (
            self.counts_until is None or time < self.counts_until
        )

    def value_in(self, payload: Mapping[str, object]) -> str | None:
        """Return the value by which an event is told from others that count; None if there is none."""
        return None if self.distinct is None else text_of(value_at(payload, self.distinct))


@dataclass(frozen=True, slots=True)
class Penalty:
    """What undoes requirements: an event of one type that satisfies all rules; without rules, none does.

    `template` is the id of the template it belongs to, `requirements` are the ids it resets.
    """

    id: int
    template: int
    event_type: str
    requirements: frozenset[int]
    rules: tuple[Rule, ...]

    def matches(self, payload: Mapping[str, object], _time: datetime) -> bool:
        """Tell whether an event of its type strikes, at whatever time."""
        return all(rule.matches(payload) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Template:
    """A badge template with everything that decides who holds its badge.

    `reaward` says whether a badge once revoked may be earned again. With the path `per` a learner may hold one badge for
    each value that events have there.

    `counted` are the requirements that the newest event alone does not decide, each behind the one that it comes after: those
    that ask for several events or tell them apart, those that come after another, and these others, for the newest event
    does not tell when they were fulfilled first.

    Raises ValueError when a requirement comes after itself, directly or not, or after one of another template.
    """

    id: int
    requirements: tuple[Requirement, ...]
    penalties: tuple[Penalty, ...]
    reaward: bool
    per: str | None = None
    counted: tuple[Requirement, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counted", tuple(_counted(self.requirements)))

    def value_in(self, payload: Mapping[str, object]) -> str | None:
        """Return the value of the badge that an event is about: empty without `per`, None if the event has none.

        An empty text is none: else it would be taken for the badge of a template without `per`.
        """
        return "" if self.per is None else text_of(value_at(payload, self.per)) or None


def _counted(requirements: Iterable[Requirement]) -> Iterator[Requirement]:
    by_id = {each.id: each for each in requirements}
    preceding = {each.after for each in by_id.values()} - {None}
    if not by_id.keys() >= preceding:
        raise ValueError("a requirement comes after one that its template does not have")
    waiting = {
        each.id: each
        for each in by_id.values()
        if each.count > 1 or each.distinct is not None or each.after is not None or each.id in preceding
    }
    while waiting:
        ready = [each for each in waiting.values() if each.after not in waiting]
        if not ready:
            raise ValueError("requirements come after each other in a circle")
        yield from ready
        for each in ready:
            del waiting[each.id]


@dataclass(frozen=True, slots=True)
class Match:
    """What one event does to one template: the ids of the requirements it counts for and of those it resets.

    An id may be in both: requirements are tested first, then penalties, so the reset decides. `value` is that of the badge
    that the event is about, empty for a template without `per`.
    """

    template: Template
    fulfills: frozenset[int]
    resets: frozenset[int]
    value: str = ""


Condition = Requirement | Penalty


class Ruleset:
    """The templates of one configuration version, compiled. Immutable, and safe to share between threads.

    Templates without requirements are left out; so are penalties that can do nothing.
    """

    def __init__(self, templates: Iterable[Template]) -> None:
        self._templates = {template.id: template for template in templates if template.requirements}
        by_type: defaultdict[str, list[Condition]] = defaultdict(list)
        for template in self._templates.values():
            for condition in _conditions(template):
                by_type[condition.event_type].append(condition)
        self._indexes = {event_type: _Index(conditions) for event_type, conditions in by_type.items()}

    @property
    def event_types(self) -> frozenset[str]:
        """The event types that can touch any template."""
        return frozenset(self._indexes)

    def template(self, id: int) -> Template | None:
        """Return the template with this id, or None when it takes no part."""
        return self._templates.get(id)

    def match(self, event_type: str, payload: Mapping[str, object], time: datetime) -> list[Match]:
        """Return what an event of this time does to each template it touches, ordered by template id."""
        index = self._indexes.get(event_type)
        if index is None:
            return []
        fulfills: defaultdict[int, set[int]] = defaultdict(set)
        resets: defaultdict[int, set[int]] = defaultdict(set)
        for condition in index.matching(payload, time):
            if isinstance(condition, Requirement):
                fulfills[condition.template].add(condition.id)
            else:
                resets[condition.template].update(self._taken_back(condition, payload))
        touched = (self._templates[each] for each in sorted(fulfills.keys() | resets.keys()))
        return [
            Match(template, frozenset(fulfills[template.id]), frozenset(resets[template.id]), value)
            for template in touched
            if (fulfills[template.id] or resets[template.id]) and (value := template.value_in(payload)) is not None
        ]

    def _taken_back(self, penalty: Penalty, payload: Mapping[str, object]) -> Iterator[int]:
        """The requirements that an event which meets the penalty resets: none of which it should name a value and does not.

        Events of another type than the requirement's may have no such value at all; those take back everything.
        """
        for requirement in self._templates[penalty.template].requirements:
            should_name = requirement.distinct is not None and requirement.event_type == penalty.event_type
            if requirement.id in penalty.requirements and not (should_name and requirement.value_in(payload) is None):
                yield requirement.id


def _conditions(template: Template) -> Iterator[Condition]:
    yield from template.requirements
    yield from (penalty for penalty in template.penalties if penalty.rules and penalty.requirements)


class _Index:
    """The conditions of one event type, filed by a value they demand, so that an event meets few in vain.

    A condition with `eq` or `in` rules is filed under the keys of one of them. Of several, the one whose path has the
    most distinct values is chosen: a course key tells conditions apart, a passing flag hardly does.
    """

    def __init__(self, conditions: Collection[Condition]) -> None:
        self._always: list[Condition] = []
        self._filed: dict[str, defaultdict[Key, list[Condition]]] = {}
        spread = _distinct_keys(conditions)
        for condition in conditions:
            demands = _demands(condition)
            if not demands:
                self._always.append(condition)
                continue
            path, keys = max(demands, key=lambda demand: spread[demand[0]])
            by_key = self._filed.setdefault(path, defaultdict(list))
            for key in keys:
                by_key[key].append(condition)

    def matching(self, payload: Mapping[str, object], time: datetime) -> Iterator[Condition]:
        """Yield the conditions that an event satisfies."""
        for condition in self._candidates(payload):
            if condition.matches(payload, time):
                yield condition

    def _candidates(self, payload: Mapping[str, object]) -> Iterator[Condition]:
        yield from self._always
        for path, by_key in self._filed.items():
            key = key_of(value_at(payload, path))
            if key is not None:
                yield from by_key.get(key, ())


def _demands(condition: Condition) -> list[tuple[str, frozenset[Key]]]:
    """The paths at which the condition demands one of certain keys, with these."""
    return [(rule.path, rule.keys) for rule in condition.rules if rule.keys is not None]


def _distinct_keys(conditions: Iterable[Condition]) -> Counter[str]:
    """Count, per path, the different keys that the conditions demand there."""
    demanded = {(path, key) for condition in conditions for path, keys in _demands(condition) for key in keys}
    return Counter(path for path, _ in demanded)
