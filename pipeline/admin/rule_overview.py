"""The requirements and penalties of a template as tables of its page."""

from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from pipeline.bus.descriptions import describe
from pipeline.models import Penalty, Requirement, Template
from pipeline.reports.clauses import extent, rules_in_words
from pipeline.reports.sentence import group_in_words


@dataclass(frozen=True)
class Row:
    """A requirement or penalty in words.

    `relation` is its group, or what it takes back; `extent` how many events it takes, and when.  Links are empty if forbidden.
    """

    slug: str
    description: str
    event: str
    event_type: str
    relation: str
    rules: str
    extent: str
    page: str
    removal: str


@dataclass(frozen=True)
class Table:
    """All requirements or all penalties of a template."""

    title: str
    relation: str
    rows: list[Row]
    may_change: bool
    addition: str
    add: str
    empty: str


def conditions_of(template: Template, request: HttpRequest, site: AdminSite) -> list[Table]:
    """The two tables, with the links that this member of staff may follow.

    Args:
        template: with `WHOLE_RULE` prefetched.
        request: of the member of staff.
        site: the admin site, which knows the permissions.
    """
    requirements = list(template.requirements.all())
    groups = {row.pk: group_in_words(row, requirements) for row in requirements}
    taken_back = {
        row.pk: ", ".join(requirement.slug for requirement in row.requirements.all()) or _("nothing")
        for row in template.penalties.all()
    }
    return [
        _table(
            template,
            Requirement,
            groups,
            request,
            site,
            _("group"),
            _("Add requirement"),
            _("There is no requirement yet."),
        ),
        _table(
            template,
            Penalty,
            taken_back,
            request,
            site,
            _("takes back"),
            _("Add penalty"),
            _("No event takes it back."),
        ),
    ]


def _table(
    template: Template,
    model: type[Requirement] | type[Penalty],
    relations: dict[int, str],
    request: HttpRequest,
    site: AdminSite,
    relation: str,
    add: str,
    empty: str,
) -> Table:
    model_admin = site.get_model_admin(model)
    name = f"admin:pipeline_{model._meta.model_name}"
    may_delete = model_admin.has_delete_permission(request)
    rows = template.requirements.all() if model is Requirement else template.penalties.all()
    return Table(
        title=capfirst(str(model._meta.verbose_name_plural)),
        relation=relation,
        rows=[_row(row, relations[row.pk], name, may_delete) for row in rows],
        may_change=model_admin.has_change_permission(request),
        addition=f"{reverse(f'{name}_add')}?template={template.pk}" if model_admin.has_add_permission(request) else "",
        add=add,
        empty=empty,
    )


def _row(row: Requirement | Penalty, relation: str, name: str, may_delete: bool) -> Row:
    return Row(
        slug=row.slug,
        description=row.description,
        event=describe(row.event_type).title,
        event_type=row.event_type,
        relation=relation,
        rules=rules_in_words(row),
        extent=extent(row) if isinstance(row, Requirement) else "",
        page=reverse(f"{name}_change", args=[row.pk]),
        removal=reverse(f"{name}_delete", args=[row.pk]) if may_delete else "",
    )
