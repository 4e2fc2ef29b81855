"""Forms of rules: key path, operator, value.  All is checked here; `badges/rules.js` only makes it comfortable."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from pipeline.bus import catalogue
from pipeline.bus.descriptions import describe
from pipeline.configuration import conditions
from pipeline.configuration.activation import path_problem, wanted
from pipeline.configuration.circles import badge_circle
from pipeline.configuration.values import with_zone
from pipeline.models import Operator, Penalty, Requirement, Template
from pipeline.models.configuration import LONGEST_VALUE

Choices = list[tuple[Any, Any]]

LISTS = (Operator.IN, Operator.NOT_IN)

WITH_SPACES = (Operator.CONTAINS, Operator.STARTS_WITH, Operator.MATCHES)
"""The operators to which spaces around a value mean something."""


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
        max_length=LONGEST_VALUE,
        strip=False,
        widget=UnfoldAdminTextareaWidget(
            {
                "data-rule-value": "",
                "rows": 1,
                "spellcheck": "false",
                "aria-label": gettext_lazy("value"),
                # As tall as what is in it.
                "class": "block field-sizing-content min-h-[38px]",
            }
        ),
        error_messages={
            "required": gettext_lazy("Enter a value; where it only matters whether there is one, true or false.")
        },
    )

    class Meta:
        fields = ("data_path", "operator", "value")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["data_path"].widget.choices = path_choices(self["data_path"].value() or "")

    def clean_value(self) -> str:
        """The values, each on a line, without spaces around them unless these mean something; of most operators one."""
        values = [line for line in self.cleaned_data["value"].splitlines() if line.strip()]
        operator = self.cleaned_data.get("operator")
        if operator not in WITH_SPACES:
            values = [line.strip() for line in values]
        if not values:
            raise forms.ValidationError(self.fields["value"].error_messages["required"], code="required")
        if len(values) > 1 and operator not in LISTS:
            raise forms.ValidationError(
                _("Enter one value. Several, each on a line, are for “is one of” and “is none of”.")
            )
        return "\n".join(values)


class RuleFormSet(PaginationInlineFormSet):
    """The rules of one requirement or penalty, checked against its event type."""

    def clean(self) -> None:
        """Key paths must be of the event type, and operators and values must fit them; then what only all rules show."""
        super().clean()
        condition: Requirement | Penalty = self.instance
        event_type = condition.event_type
        for form in self.kept_forms():
            path, operator, value = (form.cleaned_data.get(name) for name in ("data_path", "operator", "value"))
            if path and (problem := path_problem(event_type, path)):
                form.add_error("data_path", problem)
            elif path and operator and value:
                type_word = type_words(event_type).get(path, "")
                if found := conditions.rule_problem(type_word, operator, value):
                    form.add_error(found.field, str(found))
                form.instance.value = with_zone(type_word, value)
        if not any(form.errors for form in self.kept_forms()):
            errors = list(_problems_of_rules(condition, self.rules()))
            if errors:
                raise forms.ValidationError(errors)

    def kept_forms(self) -> list[RuleForm]:
        """Rows that were filled in and are not to be deleted."""
        return [
            form
            for form in self.forms
            if (form.instance.pk or form.has_changed()) and not self._should_delete_form(form)
        ]

    def rules(self) -> tuple[tuple[str, str, str], ...]:
        """Key path, operator and value of each row that is kept, of which none has an error."""
        kept = [form.cleaned_data for form in self.kept_forms()]
        return tuple((row["data_path"], row["operator"], row["value"]) for row in kept)


class PenaltyRuleFormSet(RuleFormSet):
    """The rules of a penalty, which needs at least one."""

    def clean(self) -> None:
        """As for a requirement, and not empty."""
        super().clean()
        if not self.kept_forms():
            raise forms.ValidationError(_("A penalty needs at least one rule: without any it would do nothing."))


def editor_data() -> dict[str, Any]:
    """What `badges/rules.js` knows: event types with their key paths, the operators of each type, and the words it shows."""
    paths = {name: catalogue.key_paths(name) for name in catalogue.badge_event_types()}
    words = {word for of_type in paths.values() for word in of_type.values()}
    return {
        "types": {name: {"meaning": describe(name).meaning, "paths": of_type} for name, of_type in paths.items()},
        "operators": {word: conditions.operators(word) for word in sorted(words)},
        "labels": dict(Operator.choices),
        "words": {
            "choose": _("Choose"),
            "foreign": _("not in this event type"),
            "unfit": _("not for this key path"),
            "any": _("none: any events count"),
            "value": _("value"),
            "true": _("true"),
            "false": _("false"),
            "there": _("yes, there is a value"),
            "missing": _("no, there is none"),
        },
    }


def path_choices(chosen: str, empty: str = "") -> Choices:
    """All paths of all event types, since without a script nobody can tell which type will be chosen."""
    groups: Choices = [
        (describe(name).title, [(path, f"{path} ({word})") for path, word in catalogue.key_paths(name).items()])
        for name in catalogue.badge_event_types()
    ]
    if chosen and not any(path == chosen for _title, paths in groups for path, _label in paths):
        groups.append((_("Not offered (any more)"), [(chosen, chosen)]))
    return [("", empty or _("Choose")), *groups]


def type_words(event_type: str) -> dict[str, str]:
    """The key paths of an event type with the words for their types; none of an unknown one."""
    return catalogue.key_paths(event_type) if event_type in catalogue.event_types() else {}


def _problems_of_rules(condition: Requirement | Penalty, rules: tuple[tuple[str, str, str], ...]) -> Iterator[str]:
    """What is wrong with a condition that it is not without its rules: the form of the condition tells that itself."""
    template = condition.template
    known = conditions.requirement_problems(wanted(condition, ()), template.per)
    for problem in conditions.requirement_problems(wanted(condition, rules), template.per):
        if problem not in known or problem.field == "rules":
            yield str(problem)
    if isinstance(condition, Requirement):
        others = template.requirements.exclude(pk=condition.pk).prefetch_related("rules", "after")
        circle = badge_circle(template.uuid, [wanted(condition, rules), *map(wanted, others)])
        if circle:
            names = dict(Template.objects.filter(uuid__in=circle).values_list("uuid", "name"))
            way = [names.get(each, str(each)) for each in (*circle, circle[0])]
            text = _("Each of these badges would need the next, so that none is ever awarded: %(way)s.")
            yield text % {"way": " → ".join(way)}
