"""Forms of requirements and penalties."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from string import ascii_uppercase
from typing import Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from pipeline.admin.rule_rows import Choices, path_choices
from pipeline.admin.written_fields import EndField, LengthField, StartField
from pipeline.bus import catalogue
from pipeline.bus.descriptions import describe
from pipeline.configuration import conditions
from pipeline.configuration.activation import event_type_problem, wanted
from pipeline.configuration.conditions import Wanted
from pipeline.models import Penalty, Requirement, Template
from pipeline.models.configuration import BADGE_EVENTS, MOST_COUNTED

SLUG_LENGTH = 100

BEYOND_ONE_EVENT = ("count", "distinct", "within", "counts_from", "counts_until", "after")
"""The fields of a requirement that not just any one event fulfills."""

FIELD_OF = {
    **{name: name for name in ("event_type", "count", "distinct", "within", "after")},
    "from": "counts_from",
    "until": "counts_until",
}
"""The field of the form for what the checks call a field."""


class ConditionForm(forms.ModelForm):
    """What requirements and penalties have in common.

    `owner` is the template, set by the admin class for each request.
    """

    owner: Template

    slug = forms.SlugField(
        label=gettext_lazy("Id"),
        max_length=SLUG_LENGTH,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=gettext_lazy("Stable name, unique in the template. Left empty, it is made from the description."),
        error_messages={"invalid": gettext_lazy("An id consists of the letters a-z A-Z, digits, - and _.")},
    )
    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        widget=UnfoldAdminExpandableTextareaWidget(),
        help_text=gettext_lazy("For people only."),
    )
    event_type = forms.CharField(
        label=gettext_lazy("Event type"),
        widget=UnfoldAdminSelectWidget({"data-event-type": "", "aria-describedby": "event-type-meaning"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.instance.template = self.owner
        self.fields["event_type"].widget.choices = _event_type_choices(self["event_type"].value() or "")

    def clean_event_type(self) -> str:
        """One that badges may use."""
        event_type = str(self.cleaned_data["event_type"])
        if problem := event_type_problem(event_type):
            raise forms.ValidationError(problem)
        per = self.instance.template.per
        if lacking := conditions.per_problem(per, [event_type], allows_duplicates=None):
            text = _("The template awards one badge for each value of %(path)s. %(problem)s")
            raise forms.ValidationError(text % {"path": per, "problem": lacking.message})
        return event_type

    def clean(self) -> dict[str, Any]:
        """The id: as entered, if it is free; else made from the description."""
        cleaned = super().clean() or self.cleaned_data
        if "slug" not in cleaned:
            return cleaned
        others = self._meta.model.objects.filter(template=self.instance.template).exclude(pk=self.instance.pk)
        taken = set(others.values_list("slug", flat=True))
        if not cleaned["slug"]:
            cleaned["slug"] = _proposed_slug(cleaned.get("description", ""), taken)
        if not cleaned["slug"]:
            self.add_error("slug", _("Enter an id, or a description from which one can be made."))
        elif cleaned["slug"] in taken:
            text = _("“%(id)s” is taken: an id is unique among the %(kind)s of a template.")
            self.add_error("slug", text % {"id": cleaned["slug"], "kind": self._meta.model._meta.verbose_name_plural})
        return cleaned


def _named(requirement: Requirement) -> str:
    """Id and description; without one, the kind of event."""
    return f"{requirement.slug} ({requirement.description or describe(requirement.event_type).title})"


class RequirementField(forms.ModelChoiceField):
    """A requirement by id, with what it is about."""

    def label_from_instance(self, obj: Requirement) -> str:
        """Id and description."""
        return _named(obj)


class RequirementsField(forms.ModelMultipleChoiceField):
    """Requirements by id, each with what it is about."""

    def label_from_instance(self, obj: Requirement) -> str:
        """Id and description."""
        return _named(obj)


class RequirementForm(ConditionForm):
    """A requirement."""

    group = forms.ChoiceField(
        label=gettext_lazy("Group"),
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text=gettext_lazy(
            "Requirements with the same letter are alternatives: one of them is enough. Every group is needed."
        ),
        error_messages={"invalid_choice": gettext_lazy("A group is one letter from A to Z.")},
    )

    count = forms.IntegerField(
        label=gettext_lazy("How many"),
        required=False,
        min_value=1,
        max_value=MOST_COUNTED,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text=gettext_lazy("How many events it takes. Empty: one."),
    )
    distinct = forms.CharField(
        label=gettext_lazy("Of different"),
        required=False,
        widget=UnfoldAdminSelectWidget({"data-distinct-path": ""}),
        help_text=gettext_lazy("The key path in which these events must differ, such as course.course_key."),
    )
    within = LengthField(
        label=gettext_lazy("Within"),
        placeholder="90d",
        help_text=gettext_lazy(
            "These events must lie no further apart than this: a number and w, d, h, m or s for weeks, days, hours, minutes "
            "or seconds."
        ),
    )
    counts_from = StartField(
        label=gettext_lazy("From"),
        placeholder="2026-03-01",
        help_text=gettext_lazy(
            "Earlier events do not count. A date (UTC), or a time with its zone such as 2026-03-01T12:00:00Z."
        ),
    )
    counts_until = EndField(
        label=gettext_lazy("Until"),
        placeholder="2026-06-30",
        help_text=gettext_lazy("Later events do not count. A date (UTC) counts as a whole; or a time with its zone."),
    )
    after = RequirementField(
        queryset=Requirement.objects.none(),
        label=gettext_lazy("After"),
        required=False,
        empty_label=gettext_lazy("none: events of any time count"),
        widget=UnfoldAdminSelectWidget(),
        help_text=gettext_lazy("Only events later than the one that fulfilled this requirement count."),
        error_messages={"invalid_choice": gettext_lazy("Choose another requirement of this template.")},
    )

    class Meta:
        model = Requirement
        fields = ("slug", "description", "event_type", "group", *BEYOND_ONE_EVENT)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["group"].choices = _group_choices(self.instance)  # type: ignore[attr-defined]
        none = _("none: any events count")
        self.fields["distinct"].widget.choices = path_choices(self["distinct"].value() or "", none)
        others = Requirement.objects.filter(template=self.instance.template).exclude(pk=self.instance.pk)
        self.fields["after"].queryset = others  # type: ignore[attr-defined]

    def clean_count(self) -> int:
        """One, if nothing else is asked for."""
        return self.cleaned_data["count"] or 1

    def clean(self) -> dict[str, Any]:
        """What is senseless by itself, or in the order of the template's requirements; what the rules add, they tell."""
        cleaned = super().clean()
        if not self.errors:
            for field, problem in self._problems(self._entered(cleaned)):
                self.add_error(field, problem)
        return cleaned

    def _entered(self, cleaned: dict[str, Any]) -> Wanted:
        """The requirement as entered, without its rules."""
        asked = {name: cleaned[name] for name in ("slug", "event_type", *BEYOND_ONE_EVENT)}
        return Wanted(**asked | {"after": cleaned["after"].slug if cleaned["after"] else ""})

    def _problems(self, entered: Wanted) -> Iterator[tuple[str, str]]:
        """What is wrong, each with the field of the form at which to say so."""
        rows = list(self.instance.template.requirements.prefetch_related("rules", "after"))
        known, order = conditions.order_problems(list(map(wanted, rows))), self._order_problems(entered, rows)
        own = order.pop(entered.slug, None)
        for problem in (*conditions.requirement_problems(entered, self.instance.template.per), own):
            if problem and problem.field in FIELD_OF:
                yield FIELD_OF[problem.field], str(problem)
        for slug, problem in order.items():
            if own is None and slug not in known:
                text = _("“%(id)s” comes after it: %(problem)s") % {"id": slug, "problem": problem}
                yield self._to_blame(entered), text

    def _order_problems(self, entered: Wanted, rows: Iterable[Requirement]) -> dict[str, conditions.Problem]:
        """What is wrong with the order of the template's requirements, these as stored but this one as entered."""
        slugs = {row.pk: row.slug for row in rows} | {self.instance.pk: entered.slug, None: ""}
        others = (replace(wanted(row), after=slugs[row.after_id]) for row in rows if row.pk != self.instance.pk)
        return conditions.order_problems([entered, *others])

    def _to_blame(self, entered: Wanted) -> str:
        """The field by whose change another requirement can't come after this one any more."""
        if entered.event_type in BADGE_EVENTS:
            return "event_type"
        return "counts_from" if "counts_from" in self.changed_data else "after"


class PenaltyForm(ConditionForm):
    """A penalty and the requirements of its own template that it takes back."""

    requirements = RequirementsField(
        queryset=Requirement.objects.none(),
        label=gettext_lazy("Takes back"),
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=gettext_lazy(
            "The learner must fulfill these anew. They need to be requirements of the same template."
        ),
        error_messages={
            "required": gettext_lazy("Choose at least one requirement that it takes back."),
            "invalid_choice": gettext_lazy("Choose requirements of this template only."),
        },
    )

    class Meta:
        model = Penalty
        fields = ("slug", "description", "event_type", "requirements")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        of_template = Requirement.objects.filter(template=self.instance.template)
        self.fields["requirements"].queryset = of_template  # type: ignore[attr-defined]


def _event_type_choices(stored: str) -> Choices:
    offered = {name: describe(name).title for name in catalogue.badge_event_types()}
    if stored and stored not in offered:
        offered[stored] = _("%(name)s (not listed in the settings)") % {"name": stored}
    return [("", _("Choose")), *offered.items()]


def _group_choices(requirement: Requirement) -> Choices:
    """None and A to Z, each letter with what it would mean in this template."""
    used: dict[str, list[str]] = {}
    for other in Requirement.objects.filter(template=requirement.template).exclude(pk=requirement.pk):
        used.setdefault(other.group, []).append(other.slug)
    letters = [
        (letter, f"{letter}: {_('this, or %(others)s') % {'others': _(' or ').join(used[letter])}}")
        if letter in used
        else (letter, letter)
        for letter in ascii_uppercase
    ]
    return [("", _("none: needed by itself")), *letters]


def _proposed_slug(description: str, taken: set[str]) -> str:
    """An id from the first words of a description; numbered if it is taken, empty if there are no usable letters."""
    base = slugify(description)[: SLUG_LENGTH // 2].strip("-")
    if not base or base not in taken:
        return base
    number = 2
    while f"{base}-{number}" in taken:
        number += 1
    return f"{base}-{number}"
