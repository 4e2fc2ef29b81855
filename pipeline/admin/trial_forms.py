"""The forms of the page "Try it"."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from pipeline.bus import catalogue
from pipeline.bus.descriptions import describe
from pipeline.models import Event, Template
from pipeline.reports.example_event import example_payload, example_time
from pipeline.reports.written_event import Unreadable, WrittenEvent, read


class TrialForm(forms.Form):
    """An event to try; a valid form has it as `event`."""

    event: WrittenEvent

    event_type = forms.ChoiceField(
        label=_("Event type"),
        widget=UnfoldAdminSelectWidget,
        help_text=_("Where the text below is a whole event, its own type counts."),
    )
    payload = forms.CharField(
        label=_("Event"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 18, "spellcheck": "false"}),
        help_text=_(
            "JSON in one of three forms: the payload; the signal's data, such as "
            '{"course_passing_status": {...}}; or a whole event, {"type": ..., "time": ..., "payload": {...}}.'
        ),
    )
    time = forms.DateTimeField(
        label=_("Time (UTC)"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "2026-08-01T12:00:00Z", "autocomplete": "off"}),
        help_text=_("When it happened: the newest event decides. Empty: the event's own time, else now."),
    )

    def __init__(self, template: Template, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = dict.fromkeys([*event_types_of(template), *catalogue.badge_event_types()])
        choices = cast(forms.ChoiceField, self.fields["event_type"])
        choices.choices = [(name, f"{describe(name).title} ({name})") for name in names]

    def clean_time(self) -> datetime | None:
        """The time in UTC."""
        time: datetime | None = self.cleaned_data["time"]
        try:
            return time.astimezone(UTC) if time else None
        except OverflowError:
            raise forms.ValidationError(gettext("There is no such time in UTC.")) from None

    def clean(self) -> dict[str, Any]:
        """Read the event out of the text; what is wrong with it is an error of that field."""
        cleaned = self.cleaned_data
        if cleaned.keys() >= {"payload", "event_type", "time"}:
            try:
                event = read(cleaned["payload"], cleaned["event_type"])
            except Unreadable as error:
                self.add_error("payload", str(error))
            else:
                self.event = replace(event, time=cleaned["time"] or event.time)
        return cleaned


class SearchForm(forms.Form):
    """Which stored events to offer."""

    search = forms.CharField(
        label=_("Event or learner"),
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text=_("The id of an event; or a learner's LMS user id, username or e-mail."),
    )


def event_types_of(template: Template) -> list[str]:
    """The event types of the template's requirements and penalties, each once."""
    rows = [*template.requirements.all(), *template.penalties.all()]
    return list(dict.fromkeys(row.event_type for row in rows))


def with_example(template: Template, event_type: str) -> TrialForm:
    """The form with an event of that type: the one that the template's first requirement of it asks for.

    Of an event type without learners there is no example; then it is the first type that is offered.
    """
    names = (event_type, *event_types_of(template), *catalogue.badge_event_types())
    known = next((known for name in names if (known := catalogue.event_type(name))), None)
    if known is None:
        return TrialForm(template)
    wanted = template.requirements.filter(event_type=known.name).prefetch_related("rules").first()
    payload = example_payload(known, wanted.rules.all() if wanted else ())
    time = example_time(wanted) if wanted else None
    initial = {"event_type": known.name, "payload": _written(payload), "time": time.isoformat() if time else ""}
    return TrialForm(template, initial=initial)


def with_event(template: Template, event: Event) -> TrialForm:
    """The form with a stored event, as a start for variations: what is sent is then another event."""
    initial = {"event_type": event.type, "payload": _written(event.payload), "time": event.time.isoformat()}
    return TrialForm(template, initial=initial)


def _written(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False)
