"""What an event did: what it decided, which badges it changed, in words why nothing more."""

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from pipeline.bus import catalogue
from pipeline.models import BadgeHistory, Event, EventStatus, Fulfillment, Occurrence
from pipeline.reports.phrases import bare, moment


def decisions(event: Event) -> QuerySet[Fulfillment]:
    """The requirements that this event decides now, of its learner."""
    # Found through the learner, since no index leads from an event to what it decided.
    mine = Fulfillment.objects.filter(progress__learner__lms_user_id=event.lms_user_id or 0, event=event.pk)
    return mine.select_related("requirement", "progress__template").order_by("pk")


def counted(event: Event) -> QuerySet[Occurrence]:
    """Where this event counts, or takes back what counted, for requirements that more than the newest event decides."""
    mine = Occurrence.objects.of_now().filter(progress__learner__lms_user_id=event.lms_user_id or 0, event=event.pk)
    return mine.select_related("requirement", "progress__template").order_by("pk")


def badge_changes(event: Event) -> QuerySet[BadgeHistory]:
    """The entries in the histories of its learner's badges that this event caused."""
    mine = BadgeHistory.objects.filter(badge__learner__lms_user_id=event.lms_user_id or 0, event=event.pk)
    return mine.select_related("badge__template").order_by("pk")


def outcome(event: Event, deciding: int, counting: int = 0) -> str:
    """What became of an event, in a sentence.

    Args:
        event: the event.
        deciding: how many requirements it decides now.
        counting: for how many it counts, or takes something back, beside other events.
    """
    match event.status:
        case EventStatus.RECEIVED:
            return _received(event)
        case EventStatus.FAILED:
            text = _("Failed: {error}.").format(error=bare(event.error) or _("no reason is known"))
            return text if event.raw is None else f"{text} {_('It could not be read, so it can not be redriven.')}"
        case EventStatus.IGNORED if event.type not in catalogue.badge_event_types():
            return _('Ignored: nobody subscribed to its type; BADGES_CONFIG["events"] does not list it.')
        case EventStatus.IGNORED:
            return _("Ignored: no requirement or penalty of an active template matched it when it was evaluated.")
        case _ if counting and not deciding:
            return _("Processed: it met requirements or penalties, and counts beside other events as listed below.")
        case _ if deciding:
            return _("Processed: it met requirements or penalties, and still decides what is listed below.")
        case _:
            return _("Processed: it met requirements or penalties, but other events decide them now.")


def _received(event: Event) -> str:
    if not event.error:
        return _("Waits to be evaluated and persisted.")
    when = moment(event.due_at) if event.due_at else _("soon")
    if not event.attempts:
        # What fails among others of a batch is not counted as taken up.
        return _("Failed, to be tried again {time}: {error}.").format(time=when, error=bare(event.error))
    text = _("Failed {attempts} time(s), to be tried again {time}: {error}.")
    return text.format(attempts=event.attempts, time=when, error=bare(event.error))
