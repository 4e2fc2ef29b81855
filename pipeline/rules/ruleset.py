"""Badge configuration as values, and its compiled form: which templates does an event touch?

A worker compiles a `Ruleset` once per configuration version and asks it about every event. The cost of an
answer depends on how many conditions the event can meet, not on how many templates there are.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from .operators import OPERATORS, Key, key_of, keys_for, value_at


@dataclass(frozen=True, slots=True)
class Rule:
    """One comparison of the value at a key path with an expected text.

    Raises ValueError when the operator is not one of `OPERATORS`.
    """

    path: str
    operator: str
    value: str

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise ValueError(f"unknown operator {self.operator!r}, expected one of {', '.join(OPERATORS)}")

    def matches(self, payload: Mapping[str, object]) -> bool:
        """Tell whether the payload satisfies this rule."""
        return OPERATORS[self.operator](value_at(payload, self.path), self.value)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a learner must do: an event of one type that satisfies all rules; without rules, any such event.

    `template` is the id of the template it belongs to. Requirements of one template with the same `group`
    letter are alternatives; a requirement whose group is None is a group of its own.
    """

    id: int
    template: int
    event_type: str
    group: str | None
    rules: tuple[Rule, ...]


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


@dataclass(frozen=True, slots=True)
class Template:
    """A badge template with everything that decides who holds its badge.

    `reaward` says whether a badge once revoked may be earned again.
    """

    id: int
    requirements: tuple[Requirement, ...]
    penalties: tuple[Penalty, ...]
    reaward: bool


@dataclass(frozen=True, slots=True)
class Match:
    """What one event does to one template: the ids of the requirements it fulfills and of those it resets.

    An id may be in both: requirements are tested first, then penalties, so the reset decides.
    """

    template: Template
    fulfills: frozenset[int]
    resets: frozenset[int]


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

    def match(self, event_type: str, payload: Mapping[str, object]) -> list[Match]:
        """Return what an event does to each template it touches, ordered by template id."""
        index = self._indexes.get(event_type)
        if index is None:
            return []
        fulfills: defaultdict[int, set[int]] = defaultdict(set)
        resets: defaultdict[int, set[int]] = defaultdict(set)
        for condition in index.matching(payload):
            if isinstance(condition, Requirement):
                fulfills[condition.template].add(condition.id)
            else:
                resets[condition.template] |= condition.requirements
        return [
            Match(self._templates[touched], frozenset(fulfills[touched]), frozenset(resets[touched]))
            for touched in sorted(fulfills.keys() | resets.keys())
        ]


def _conditions(template: Template) -> Iterator[Condition]:
    yield from template.requirements
    yield from (penalty for penalty in template.penalties if penalty.rules and penalty.requirements)


class _Index:
    """The conditions of one event type, filed by a value they demand, so that an event meets few in vain.

    A condition with `eq` rules is filed under the keys of one of them. Of several, the one whose path has the
    most distinct values is chosen: a course key tells conditions apart, a passing flag hardly does.
    """

    def __init__(self, conditions: Collection[Condition]) -> None:
        self._always: list[Condition] = []
        self._filed: dict[str, defaultdict[Key, list[Condition]]] = {}
        spread = _distinct_values(conditions)
        for condition in conditions:
            equalities = _equalities(condition)
            if not equalities:
                self._always.append(condition)
                continue
            chosen = max(equalities, key=lambda rule: spread[rule.path])
            by_key = self._filed.setdefault(chosen.path, defaultdict(list))
            for key in keys_for(chosen.value):
                by_key[key].append(condition)

    def matching(self, payload: Mapping[str, object]) -> Iterator[Condition]:
        """Yield the conditions all of whose rules the payload satisfies."""
        for condition in self._candidates(payload):
            if all(rule.matches(payload) for rule in condition.rules):
                yield condition

    def _candidates(self, payload: Mapping[str, object]) -> Iterator[Condition]:
        yield from self._always
        for path, by_key in self._filed.items():
            key = key_of(value_at(payload, path))
            if key is not None:
                yield from by_key.get(key, ())


def _equalities(condition: Condition) -> list[Rule]:
    return [rule for rule in condition.rules if rule.operator == "eq"]


def _distinct_values(conditions: Iterable[Condition]) -> Counter[str]:
    """Count, per path, the different values that the `eq` rules of the conditions expect there."""
    expected = {(rule.path, rule.value) for condition in conditions for rule in _equalities(condition)}
    return Counter(path for path, _ in expected)
