"""Forms of the rules editor.  All is checked here on the server; `badges/rules.js` only makes it comfortable."""

from string import ascii_uppercase
from typing import Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from pipeline.bus import catalogue
from pipeline.bus.descriptions import describe
from pipeline.configuration.activation import event_type_problem, path_problem, value_problem
from pipeline.models import Operator, Penalty, Requirement, Template

SLUG_LENGTH = 100
Choices = list[tuple[Any, Any]]


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

    class Meta:
        model = Requirement
        fields = ("slug", "description", "event_type", "group")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["group"].choices = _group_choices(self.instance)  # type: ignore[attr-defined]


class RequirementsField(forms.ModelMultipleChoiceField):
    """Requirements by id, each with what it is about."""

    def label_from_instance(self, obj: Requirement) -> str:
        """Id and description; without one, the kind of event."""
        return f"{obj.slug} ({obj.description or describe(obj.event_type).title})"


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


class RuleForm(forms.ModelForm):
    """A rule: key path, operator, value.  Whether they fit the event type is for the formset to say, which knows it."""

    data_path = forms.CharField(
        label=gettext_lazy("Key path"),
        widget=UnfoldAdminSelectWidget({"data-rule-path": "", "aria-label": gettext_lazy("key path")}),
    )
    operator = forms.ChoiceField(
        label=gettext_lazy("Operator"),
        choices=Operator.choices,
        initial=Operator.EQUALS,
        widget=UnfoldAdminSelectWidget({"data-rule-operator": "", "aria-label": gettext_lazy("operator")}),
    )
    value = forms.CharField(
        label=gettext_lazy("Value"),
        max_length=255,
        widget=UnfoldAdminTextInputWidget({"data-rule-value": "", "aria-label": gettext_lazy("value")}),
    )

    class Meta:
        fields = ("data_path", "operator", "value")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["data_path"].widget.choices = _path_choices(self["data_path"].value() or "")


class RuleFormSet(PaginationInlineFormSet):
    """The rules of one requirement or penalty, checked against its event type."""

    def clean(self) -> None:
        """Key paths must be of the event type, values must be able to match."""
        super().clean()
        event_type = self.instance.event_type
        for form in self.kept_forms():
            path, value = form.cleaned_data.get("data_path"), form.cleaned_data.get("value")
            if path and (problem := path_problem(event_type, path)):
                form.add_error("data_path", problem)
            elif path and value and (problem := value_problem(event_type, path, value)):
                form.add_error("value", problem)

    def kept_forms(self) -> list[RuleForm]:
        """Rows that were filled in and are not to be deleted."""
        return [
            form
            for form in self.forms
            if (form.instance.pk or form.has_changed()) and not self._should_delete_form(form)
        ]


class PenaltyRuleFormSet(RuleFormSet):
    """The rules of a penalty, which needs at least one."""

    def clean(self) -> None:
        """As for a requirement, and not empty."""
        super().clean()
        if not self.kept_forms():
            raise forms.ValidationError(_("A penalty needs at least one rule: without any it would do nothing."))


def editor_data() -> dict[str, Any]:
    """What `badges/rules.js` knows: event types with their key paths, and the words it shows."""
    return {
        "types": {
            name: {"meaning": describe(name).meaning, "paths": catalogue.key_paths(name)}
            for name in catalogue.badge_event_types()
        },
        "words": {
            "choose": _("Choose"),
            "foreign": _("not in this event type"),
            "value": _("value"),
            "true": _("true"),
            "false": _("false"),
        },
    }


def _event_type_choices(stored: str) -> Choices:
    offered = {name: describe(name).title for name in catalogue.badge_event_types()}
    if stored and stored not in offered:
        offered[stored] = _("%(name)s (not listed in the settings)") % {"name": stored}
    return [("", _("Choose")), *offered.items()]


def _path_choices(chosen: str) -> Choices:
    """All paths of all event types, since without a script nobody can tell which type will be chosen."""
    groups: Choices = [
        (describe(name).title, [(path, f"{path} ({word})") for path, word in catalogue.key_paths(name).items()])
        for name in catalogue.badge_event_types()
    ]
    if chosen and not any(path == chosen for _title, paths in groups for path, _label in paths):
        groups.append((_("Not offered (any more)"), [(chosen, chosen)]))
    return [("", _("Choose")), *groups]


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
