"""What is wrong with requirements, penalties and their rules as somebody wants them, in words, and at which field.

The configuration file, the admin, the take-over from the peer and the check before a template is activated all ask here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils.translation import gettext as _

from pipeline import rules
from pipeline.bus import catalogue
from pipeline.bus.descriptions import describe
from pipeline.configuration.spans import written_end, written_start
from pipeline.configuration.values import allowed_instead, with_zone
from pipeline.models import Operator
from pipeline.models.configuration import BADGE_EVENTS, MOST_COUNTED

TEMPLATE_PATH = "template.uuid"
"""Where these have the template of the badge."""

NAMING = ("eq", "in")
"""The operators whose rules let only the values through that they name."""

Field = Literal[
    "operator",
    "value",
    "count",
    "distinct",
    "within",
    "from",
    "until",
    "after",
    "per",
    "requirements",
    "event_type",
    "rules",
]

_EQUALITY = ("eq", "ne")
_LISTS = ("in", "not_in")
_ORDER = ("gt", "ge", "lt", "le")
_TEXT = (*_EQUALITY, *_LISTS, "contains", "starts_with", "matches", "exists")
_NUMBER = (*_EQUALITY, *_ORDER, *_LISTS, "exists")
_OFFERED: Mapping[str, tuple[str, ...]] = {
    "boolean": (*_EQUALITY, "exists"),
    "integer": _NUMBER,
    "number": _NUMBER,
    "time": (*_EQUALITY, *_ORDER, "exists"),
    "text": _TEXT,
    "course key": _TEXT,
    "usage key": _TEXT,
    "UUID": (*_EQUALITY, *_LISTS, "exists"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, at which field, and what is allowed instead as far as that can be told."""

    field: Field
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        if not self.allowed:
            return self.message
        return _("%(message)s Allowed: %(allowed)s.") % {"message": self.message, "allowed": self.allowed}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A requirement as somebody wants it; a penalty too, which leaves out what penalties have not.

    `rules` are key path, operator and value of each. Empty are a `distinct` and an `after` that is not wanted; `after` is the
    slug of another requirement of the template.
    """

    slug: str
    event_type: str
    rules: tuple[tuple[str, str, str], ...] = ()
    count: int = 1
    distinct: str = ""
    within: timedelta | None = None
    counts_from: datetime | None = None
    counts_until: datetime | None = None
    after: str = ""


def operators(type_word: str) -> tuple[str, ...]:
    """The operators offered for a key path of a type (its word in `catalogue.key_paths`), in order; of an unknown type, all."""
    return _OFFERED.get(type_word, tuple(Operator.values))


def rule_problem(type_word: str, operator: str, value: str) -> Problem | None:
    """Why a rule can't be met at a key path of a type, or has no meaning there; None if it can.

    Of an unknown type only what is wrong everywhere is found.
    """
    offered = operators(type_word)
    if operator not in offered:
        message = _("“%(operator)s” is no operator for a value of the type %(type)s.")
        return Problem("operator", message % {"operator": operator, "type": type_word or "?"}, ", ".join(offered))
    if operator in _LISTS:
        return _list_problem(type_word, operator, rules.lines(value))
    if operator in _EQUALITY:
        return _misfit(type_word, type_word, with_zone(type_word, value))
    if operator in _ORDER:
        return _misfit(type_word, "time" if type_word == "time" else "number", value) if type_word else None
    if operator == Operator.EXISTS:
        return None if rules.parse_boolean(value) is not None else Problem("value", _no_boolean(value), "true, false")
    return _text_problem(operator, value)


def requirement_problems(wanted: Wanted, per: str = "") -> list[Problem]:
    """What is senseless about a requirement or a penalty by itself, its rules taken one by one apart.

    Args:
        wanted: the requirement or penalty.
        per: the key path of which its template has a badge for each value; empty if it has one in all.
    """
    return [*_of_event_type(wanted), *_of_count(wanted, per), *_of_span(wanted)]


def order_problems(wanted: Sequence[Wanted]) -> dict[str, Problem]:
    """What is wrong with the order of a template's requirements, by slug.

    `after` names none, itself, one whose time nobody can foresee or that is too late, or leads in a circle.
    """
    by_slug = {each.slug: each for each in wanted}
    preceding = {slug: each.after for slug, each in by_slug.items()}
    of_badges = {slug for slug, each in by_slug.items() if each.event_type in BADGE_EVENTS}
    found = {}
    for slug, after in preceding.items():
        way = _way_from(slug, preceding)
        if after == slug:
            found[slug] = Problem("after", _("A requirement can't come after itself."))
        elif after and after not in preceding:
            allowed = ", ".join(each for each in preceding if each != slug) or _("none")
            message = _("“%(after)s” is no requirement of this template.") % {"after": after}
            found[slug] = Problem("after", message, allowed)
        elif after in of_badges:
            found[slug] = Problem("after", _badge_time())
        elif preceding.get(way[-1]) == slug:
            message = _("The requirements come after each other in a circle: %(circle)s.")
            found[slug] = Problem("after", message % {"circle": _(" after ").join((*way, slug))})
        elif too_late := _too_late([by_slug[each] for each in way if each in by_slug]):
            found[slug] = Problem("after", too_late)
    return found


def per_problem(per: str, event_types: Iterable[str], *, allows_duplicates: bool | None) -> Problem | None:
    """Why a template can't have one badge for each value at a key path; None if it can.

    Args:
        per: the key path; empty for one badge in all.
        event_types: those of the template's requirements and penalties.
        allows_duplicates: whether Credly lets a learner hold the badge more than once; None if no sync has told yet.
    """
    if not per:
        return None
    known = {event_type: paths for event_type in event_types if (paths := _paths(event_type)) is not None}
    for event_type, paths in known.items():
        if per not in paths:
            return Problem("per", _no_path(per, event_type), ", ".join(paths) or _("none"))
        if unfit := _unfit(per, paths):
            return Problem("per", unfit)
    usable = {path: None for event_type in catalogue.badge_event_types() for path in catalogue.key_paths(event_type)}
    if not known and per not in usable:
        message = _("“%(path)s” is no key path of any event type that badges may use.") % {"path": per}
        return Problem("per", message, ", ".join(usable) or _("none"))
    if allows_duplicates is False:
        return Problem(
            "per",
            _("Credly lets a learner hold this badge only once. Allow duplicates for the template there, then sync."),
        )
    return None


def per_change_problem(stored: str, per: str) -> Problem | None:
    """Why a template of which learners have progress or badges can't change what it has a badge for; None if it does not.

    What they have is noted for the values of before. No event would reach it any more: they would earn the badge once more,
    and no penalty could take the old one back.

    Args:
        stored: the key path of each value of which there is progress and badges; empty for one in all.
        per: the key path that somebody wants.
    """
    if per == stored:
        return None
    message = _(
        "Learners have progress or badges of this template, with one badge %(stored)s: no event would reach these any more. "
        "For one badge %(wanted)s make a new template."
    )
    words = {"stored": _per_in_words(stored), "wanted": _per_in_words(per)}
    return Problem("per", message % words, stored or _("none"))


def named(operator: str, value: str) -> list[str]:
    """The values that a rule with one of the operators `NAMING` lets through."""
    return rules.lines(value) if operator == Operator.IN else [value]


def _list_problem(type_word: str, operator: str, listed: list[str]) -> Problem | None:
    if not listed:
        message = _("“%(operator)s” needs at least one value, each on a line.")
        return Problem("value", message % {"operator": operator})
    if not all(each.strip() for each in listed):
        return Problem("value", _("“%(operator)s” takes no value that is blank.") % {"operator": operator})
    return next(filter(None, (_misfit(type_word, type_word, each) for each in listed)), None)


def _misfit(type_word: str, fitting: str, value: str) -> Problem | None:
    """The problem that a value has at a path of a type if it does not fit this or (for an order) another type."""
    allowed = allowed_instead(fitting, value)
    if allowed is None:
        return None
    message = _("“%(value)s” does not fit the type of the key path, %(type)s.")
    return Problem("value", message % {"value": value, "type": type_word}, allowed)


def _text_problem(operator: str, value: str) -> Problem | None:
    if not value:
        return Problem("value", _("“%(operator)s” needs a value.") % {"operator": operator})
    if operator == Operator.MATCHES:
        try:
            rules.compiled(operator, value)
        except ValueError as error:
            return Problem("value", f"{error}.", _("a regular expression of RE2, which the whole value must match"))
    return None


def _no_boolean(value: str) -> str:
    return _("“%(value)s” says neither that there must be a value nor that there must be none.") % {"value": value}


def _of_event_type(wanted: Wanted) -> Iterator[Problem]:
    """A badge of any template would be one of its own, too: it would need itself."""
    if wanted.event_type not in BADGE_EVENTS:
        return
    templates = [named(operator, value) for path, operator, value in wanted.rules if _names_templates(path, operator)]
    if not templates:
        message = _("“%(title)s” needs a rule that says whose badge: %(path)s with one of the operators %(operators)s.")
        words = {"title": describe(wanted.event_type).title, "path": TEMPLATE_PATH, "operators": ", ".join(NAMING)}
        yield Problem("rules", message % words)
    for value in (value for values in templates for value in values):
        if allowed := allowed_instead("UUID", value):
            message = _("“%(value)s” at %(path)s is no id of a template.")
            yield Problem("rules", message % {"value": value, "path": TEMPLATE_PATH}, allowed)


def _of_count(wanted: Wanted, per: str) -> Iterator[Problem]:
    if not 1 <= wanted.count <= MOST_COUNTED:
        message = _("%(count)s events can't be asked for.") % {"count": wanted.count}
        yield Problem("count", message, _("1 to %(most)s") % {"most": MOST_COUNTED})
    one = _("With a count of 1 this has no meaning: give the number of events that it takes.")
    if wanted.count == 1 and wanted.within is not None:
        yield Problem("within", one)
    if not wanted.distinct:
        return
    if (offered := _paths(wanted.event_type)) is not None and wanted.distinct not in offered:
        yield Problem("distinct", _no_path(wanted.distinct, wanted.event_type), ", ".join(offered) or _("none"))
    elif wanted.distinct == per:
        message = _("The template has a badge for each value of %(path)s, so these never differ within one badge.")
        yield Problem("distinct", message % {"path": per})
    elif unfit := _unfit(wanted.distinct, offered or {}):
        yield Problem("distinct", unfit)
    elif (most := _most_different(wanted)) is not None and wanted.count > 1 and most < wanted.count:
        message = _("No more than %(most)s different values of %(path)s can match.")
        yield Problem("count", message % {"most": most, "path": wanted.distinct})


def _of_span(wanted: Wanted) -> Iterator[Problem]:
    if wanted.counts_from and wanted.counts_until and wanted.counts_from >= wanted.counts_until:
        yield Problem("until", _("The end is not later than the beginning, so no event would ever count."))
    if wanted.event_type in BADGE_EVENTS:
        asked: Mapping[Field, object] = {
            "from": wanted.counts_from,
            "until": wanted.counts_until,
            "within": wanted.within,
            "after": wanted.after,
        }
        yield from (Problem(field, _badge_time()) for field, value in asked.items() if value)


def _badge_time() -> str:
    return _("The time of a badge's event is when Credly had it, so this would hang on how fast Credly was.")


def _unfit(path: str, paths: Mapping[str, str]) -> str:
    """Why events can't be told apart by what stands at a path; empty if they can."""
    if paths.get(path) == "time":
        message = _("“%(path)s” is a time, which can be written in several ways: events can't be told apart by it.")
    elif "pii" in path.split("."):
        message = _("“%(path)s” names a person: such data are not kept to tell events apart by.")
    else:
        return ""
    return message % {"path": path}


def _most_different(wanted: Wanted) -> int | None:
    """How many different values the rules leave at the path in which events must differ; None if they do not bound it.

    Of numbers each value can be written in several ways, so that a list may name one twice.
    """
    type_word = (_paths(wanted.event_type) or {}).get(wanted.distinct, "")
    if type_word == "boolean":
        return len(_booleans_left(wanted))
    if type_word in ("integer", "number"):
        return None
    listed = [
        len(set(named(operator, value)))
        for path, operator, value in wanted.rules
        if path == wanted.distinct and operator in NAMING
    ]
    return min(listed, default=None)


def _booleans_left(wanted: Wanted) -> set[bool | None]:
    """Which booleans the rules leave at the path in which events must differ."""
    left: set[bool | None] = {True, False}
    for path, operator, value in wanted.rules:
        if path == wanted.distinct and operator in _EQUALITY:
            told = {rules.parse_boolean(value)}
            left = left & told if operator == Operator.EQUALS else left - told
    return left


def _paths(event_type: str) -> dict[str, str] | None:
    """The key paths of an event type; None if there is no such type."""
    return catalogue.key_paths(event_type) if event_type in catalogue.event_types() else None


def _no_path(path: str, event_type: str) -> str:
    return _("“%(path)s” is no key path of “%(title)s”.") % {"path": path, "title": describe(event_type).title}


def _per_in_words(per: str) -> str:
    return _("for each value of %(path)s") % {"path": per} if per else _("in all")


def _way_from(slug: str, preceding: Mapping[str, str]) -> list[str]:
    """The slug, that of the requirement that it comes after, and so on; up to where it would enter a circle."""
    way = [slug]
    while (after := preceding.get(way[-1], "")) and after not in way:
        way.append(after)
    return way


def _too_late(way: Sequence[Wanted]) -> str:
    """Why no event can count for the first of these, which come after each other; empty if one can."""
    last, *before = way
    for each in before:
        if last.counts_until and each.counts_from and each.counts_from >= last.counts_until:
            message = _(
                "“%(first)s”, which must be fulfilled before, counts from %(start)s on, and this one until %(end)s: no "
                "event would ever count."
            )
            limits = {"start": written_start(each.counts_from), "end": written_end(last.counts_until)}
            return message % {"first": each.slug, **limits}
    return ""


def _names_templates(path: str, operator: str) -> bool:
    return path == TEMPLATE_PATH and operator in NAMING
