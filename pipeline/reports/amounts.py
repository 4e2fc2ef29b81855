"""How many events a requirement asks for, of what time, and after what, in words."""

from datetime import UTC, datetime, time, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from pipeline.models import Requirement, Template

_UNITS = (
    (timedelta(days=1), ngettext_lazy("%d day", "%d days")),
    (timedelta(hours=1), ngettext_lazy("%d hour", "%d hours")),
    (timedelta(minutes=1), ngettext_lazy("%d minute", "%d minutes")),
    (timedelta(seconds=1), ngettext_lazy("%d second", "%d seconds")),
)


def noun(path: str) -> str:
    """What the values at a key path are, in the singular: "course"; of most paths their name."""
    return {"course.course_key": _("course"), "course.ccx_course_key": _("custom course (CCX)")}.get(path, path)


def each_of(template: Template) -> str:
    """For what a template awards one badge each, as it goes on after "for": "each course"; empty if it awards one."""
    if not template.per:
        return ""
    name = noun(template.per)
    words = _("each value of %(noun)s") if name == template.per else _("each %(noun)s")
    return words % {"noun": name}


def how_many(requirement: Requirement) -> str:
    """How many events it takes: "5 events, each with a different course"; empty if any one will do for good."""
    if not requirement.distinct:
        return _("%(count)s events") % {"count": requirement.count} if requirement.count > 1 else ""
    if requirement.count == 1:
        return _("each %(noun)s by itself") % {"noun": noun(requirement.distinct)}
    return _("%(count)s events, each with a different %(noun)s") % {
        "count": requirement.count,
        "noun": noun(requirement.distinct),
    }


def how_often(requirement: Requirement) -> str:
    """The same as it follows what has to happen: "5 times, each time with a different course"; empty if once."""
    if requirement.count == 1:
        return ""
    if not requirement.distinct:
        return _("%(count)s times") % {"count": requirement.count}
    return _("%(count)s times, each time with a different %(noun)s") % {
        "count": requirement.count,
        "noun": noun(requirement.distinct),
    }


def limits(requirement: Requirement) -> str:
    """Which events count: within what length, from and until when, after what; empty if all do."""
    return ", ".join(filter(None, (_within(requirement), _between(requirement), after(requirement))))


def length(span: timedelta) -> str:
    """A length of time: "90 days"."""
    unit, words = next((unit, words) for unit, words in _UNITS if not span % unit)
    return str(words % (span // unit))


def start(moment: datetime) -> str:
    """The time from which on something counts: "1 Mar 2026", as a whole day's first moment is written."""
    return _day(moment) if _is_midnight(moment) else date_format(timezone.localtime(moment), "DATETIME_FORMAT")


def after(requirement: Requirement) -> str:
    """After what it counts: "after “intro” is fulfilled"; empty if it comes after none."""
    if requirement.after_id is None:
        return ""
    # Found among its siblings, which are read wherever many requirements are shown.
    name = next(row.slug for row in requirement.template.requirements.all() if row.pk == requirement.after_id)
    return _("after “%(name)s” is fulfilled") % {"name": name}


def too_early_or_late(requirement: Requirement, moment: datetime) -> str:
    """Why an event of this time does not count: "before 1 Mar 2026", "after 31 Jul 2026"; empty if it does."""
    if requirement.counts_from and moment < requirement.counts_from:
        return _("before %(time)s") % {"time": start(requirement.counts_from)}
    if requirement.counts_until and moment >= requirement.counts_until:
        last, end = _last_day(requirement.counts_until), start(requirement.counts_until)
        return _("after %(day)s") % {"day": last} if last else _("at or after %(time)s") % {"time": end}
    return ""


def _within(requirement: Requirement) -> str:
    return _("within %(length)s") % {"length": length(requirement.within)} if requirement.within else ""


def _between(requirement: Requirement) -> str:
    parts = []
    if requirement.counts_from:
        words = _("from %(start)s") if requirement.counts_until else _("from %(start)s on")
        parts.append(words % {"start": start(requirement.counts_from)})
    if requirement.counts_until:
        parts.append(_end(requirement.counts_until))
    return " ".join(parts)


def _end(moment: datetime) -> str:
    """The time before which something counts; the day before, if that counts as a whole."""
    last = _last_day(moment)
    return _("until %(day)s") % {"day": last} if last else _("before %(time)s") % {"time": start(moment)}


def _last_day(end: datetime) -> str:
    """The day that counts as a whole before the end of a time; empty if that does not end with a day."""
    return _day(end - timedelta(days=1)) if _is_midnight(end) else ""


def _is_midnight(moment: datetime) -> bool:
    return moment.astimezone(UTC).timetz() == time(tzinfo=UTC)


def _day(moment: datetime) -> str:
    return date_format(moment.astimezone(UTC), "DATE_FORMAT")
