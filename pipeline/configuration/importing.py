"""Badge configuration from a file into the tables.

A file says nothing about what it does not mention: other organizations and templates stay as they are.  A
template that it mentions gets exactly the requirements, penalties and rules of the file.  Only rows that
differ are written, so that a repeated import changes nothing and no worker compiles its rules anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from pipeline.bus.catalogue import kinds
from pipeline.configuration import organizations
from pipeline.configuration.circles import stored_needs
from pipeline.configuration.condition_places import LISTING
from pipeline.configuration.counting import begin_anew, counted
from pipeline.configuration.difference import (
    ADDED,
    CHANGED,
    CONTEXT,
    REMOVED,
    Change,
    Sign,
    from_to,
    named,
    shown,
    update,
)
from pipeline.configuration.document import read_document
from pipeline.configuration.entries import (
    Document,
    Known,
    OrganizationEntry,
    PenaltyEntry,
    RequirementEntry,
    RuleEntry,
    TemplateEntry,
)
from pipeline.configuration.values import with_zone
from pipeline.models import Badge, Fulfillment, Occurrence, Organization, Penalty, Progress, Requirement, Template
from pipeline.models.configuration import Rule
from pipeline.rules import lines


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to: what it changed, what of the file is worth a look though allowed, line by line."""

    changes: list[Change]
    warnings: tuple[str, ...]


def import_configuration(content: bytes, file: str, *, dry_run: bool = False) -> Imported:
    """Bring the tables to what a file says, in one transaction, and tell what changed.

    1. read and check the file against what there is;
    2. write each organization, then each template with its requirements and penalties, as far as they differ;
    3. with `dry_run`, take everything back.

    May safely be repeated: the second time nothing differs.

    Args:
        content: the file's bytes.
        file: its name, for the errors.
        dry_run: whether to tell only.

    Raises:
        DocumentError: the file has errors; nothing is changed.
    """
    with transaction.atomic():
        document = read_document(content, file, _known())
        changes = _apply(document)
        transaction.set_rollback(dry_run)
    return Imported(changes, document.warnings)


def _known() -> Known:
    synced = Template.objects.filter(synced_at__isnull=False)
    progress, badges = (rows.filter(template=OuterRef("pk")) for rows in (Progress.objects, Badge.objects))
    in_use = Template.objects.filter(Exists(progress) | Exists(badges))
    return Known(
        organizations=set(Organization.objects.values_list("uuid", flat=True)),
        templates=set(Template.objects.values_list("uuid", flat=True)),
        per=dict(in_use.values_list("uuid", "per")),
        allows_duplicates=dict(synced.values_list("uuid", "allows_duplicates")),
        needs=stored_needs(),
    )


def _apply(document: Document) -> list[Change]:
    changes = [change for entry in document.organizations for change in _organization(entry)]
    owners = {
        organization.uuid: organization
        for organization in Organization.objects.filter(uuid__in={entry.organization for entry in document.templates})
    }
    templates = _locked_templates([entry.uuid for entry in document.templates])
    for entry in document.templates:
        changes += _template(templates.get(entry.uuid), entry, owners[entry.organization])
    return changes


def _locked_templates(uuids: Iterable[UUID]) -> dict[UUID, Template]:
    """The templates there are, locked in one order so that imports at the same time wait for each other."""
    rows = (
        Template.objects.filter(uuid__in=list(uuids))
        .order_by("pk")
        .select_for_update()
        .prefetch_related(
            "organization",
            "requirements__rules",
            "requirements__after",
            "penalties__rules",
            "penalties__requirements",
        )
    )
    return {row.uuid: row for row in rows}


def _organization(entry: OrganizationEntry) -> list[Change]:
    row = Organization.objects.select_for_update().filter(uuid=entry.uuid).first()
    wanted = _mentioned(name=entry.name, api_key=entry.api_key)
    if row is None:
        row = Organization.objects.create(uuid=entry.uuid, **wanted)
        return [Change(ADDED, named(row))]
    subject = named(row)
    kept = _kept_key(row, entry.api_key)
    if kept:
        del wanted["api_key"]
    differing = update(row, wanted)
    if not differing and not kept:
        return []
    return [Change(CHANGED if differing else CONTEXT, subject, ", ".join(filter(None, (differing, kept))))]


def _kept_key(row: Organization, wanted: str | None) -> str:
    """Why the stored key stays though the file names another, in words; empty if it doesn't stay.

    An export names a variable in place of each key.  Where nobody has set it, the stored key is the one that works.
    """
    prefix, _, variable = (wanted or "").partition(organizations.ENVIRONMENT_PREFIX)
    if prefix or not variable or wanted == row.api_key or _works(wanted) or not _works(row.api_key):
        return ""
    return f"api_key: the stored one is kept, as the environment variable {variable} is not set"


def _works(key: str | None) -> bool:
    """Whether there is a key: none is where a variable is not set, or the secret it was encrypted with is gone."""
    try:
        return bool(organizations.api_key(Organization(api_key=key)))
    except organizations.KeyMissing:
        return False


def _template(row: Template | None, entry: TemplateEntry, organization: Organization) -> list[Change]:
    wanted = _mentioned(
        organization=organization,
        name=entry.name,
        active=entry.active,
        reaward=entry.reaward,
        per=entry.per,
        description=entry.description,
        image_url=entry.image_url,
        state=entry.state,
    )
    if row is None:
        row = Template.objects.create(uuid=entry.uuid, **wanted)
        return [Change(ADDED, named(row), counts_anew=_if_active(row)), *_conditions(row, entry)]
    subject, before = named(row), _switches(row)
    differing = update(row, wanted)
    below = _conditions(row, entry)
    if not differing and not below:
        return []
    counts_anew = _if_active(row) if below or _switches(row) != before else None
    return [Change(CHANGED if differing else CONTEXT, subject, differing, counts_anew=counts_anew), *below]


def _switches(row: Template) -> tuple[bool, bool, str]:
    return row.active, row.reaward, row.per


def _if_active(row: Template) -> UUID | None:
    return row.uuid if row.active else None


def _conditions(template: Template, entry: TemplateEntry) -> list[Change]:
    """Requirements, then penalties; those not in the file go last, when nothing names them any more."""
    before = counted(template)
    requirements = {row.slug: row for row in template.requirements.all()}
    penalties = {row.slug: row for row in template.penalties.all()}
    new = [each for each in entry.requirements if each.slug not in requirements]
    for requirement in new:
        requirements[requirement.slug] = _create_requirement(template, requirement)
    changes: list[Change] = []
    for requirement in entry.requirements:
        differing = _requirement(requirement, requirements)
        row = requirements[requirement.slug]
        changes += [_change(ADDED, row)] if requirement in new else differing
    for penalty in entry.penalties:
        changes += _penalty(template, penalties.get(penalty.slug), penalty, requirements)
    changes += _remove_penalties(penalties, {penalty.slug for penalty in entry.penalties})
    changes += _remove_requirements(requirements, {requirement.slug for requirement in entry.requirements})
    forgotten = begin_anew(template, before)
    changes += [
        _change(CHANGED, row, _forgotten(number)) for row in requirements.values() if (number := forgotten.get(row.pk))
    ]
    return changes


def _forgotten(learners: int) -> str:
    return f"it counts anew; what it had counted for {learners} learner{'' if learners == 1 else 's'} is forgotten"


def _create_requirement(template: Template, entry: RequirementEntry) -> Requirement:
    """A requirement without its rules, and without what it comes after, for that may be created later."""
    return Requirement.objects.create(template=template, slug=entry.slug, **_wanted_of(entry))


def _requirement(entry: RequirementEntry, requirements: Mapping[str, Requirement]) -> list[Change]:
    row = requirements[entry.slug]
    wanted = {**_wanted_of(entry), "after": requirements[entry.after] if entry.after else None}
    return _changed(row, update(row, wanted), _update_rules(row, entry.rules))


def _wanted_of(entry: RequirementEntry) -> dict[str, Any]:
    return {
        "event_type": entry.event_type,
        "group": entry.group,
        "description": entry.description,
        "count": entry.count,
        "distinct": entry.distinct,
        "within": entry.within,
        "counts_from": entry.counts_from,
        "counts_until": entry.counts_until,
    }


def _penalty(
    template: Template, row: Penalty | None, entry: PenaltyEntry, requirements: Mapping[str, Requirement]
) -> list[Change]:
    wanted = {"event_type": entry.event_type, "description": entry.description}
    resets = [requirements[slug] for slug in entry.requirements]
    if row is None:
        row = Penalty.objects.create(template=template, slug=entry.slug, **wanted)
        _update_resets(row, resets)
        _update_rules(row, entry.rules)
        return [_change(ADDED, row)]
    return _changed(row, update(row, wanted), _update_resets(row, resets), _update_rules(row, entry.rules))


def _remove_penalties(rows: Mapping[str, Penalty], kept: set[str]) -> list[Change]:
    removed = [row for slug, row in rows.items() if slug not in kept]
    for row in removed:
        row.delete()
    return [_change(REMOVED, row) for row in removed]


def _remove_requirements(rows: Mapping[str, Requirement], kept: set[str]) -> list[Change]:
    """Delete those not kept, all at once, for one may come after another; with them goes what learners achieved in them."""
    removed = [row for slug, row in rows.items() if slug not in kept]
    changes = [_change(REMOVED, row, _achieved(row)) for row in removed]
    if removed:
        Requirement.objects.filter(pk__in=[row.pk for row in removed]).delete()
    return changes


def _achieved(row: Requirement) -> str:
    """How many learners have fulfilled a requirement, or begun to; empty when none has."""
    fulfilled = Fulfillment.objects.filter(requirement=row, fulfilled=True)
    counting = Occurrence.objects.of_now().filter(requirement=row, fulfills=True)
    learners = fulfilled.values("progress__learner").union(counting.values("progress__learner")).count()
    return f"the progress of {learners} learner{'' if learners == 1 else 's'} in it is lost" if learners else ""


def _mentioned(**values: Any) -> dict[str, Any]:
    return {field: value for field, value in values.items() if value is not None}


def _update_resets(row: Penalty, requirements: list[Requirement]) -> str:
    """Write which requirements a penalty takes back if they differ, and say how."""
    stored, wanted = (sorted(each.slug for each in rows) for rows in (row.requirements.all(), requirements))
    if stored == wanted:
        return ""
    row.requirements.set(requirements)
    return from_to("requirements", f"[{', '.join(stored)}]", f"[{', '.join(wanted)}]")


def _update_rules(row: Requirement | Penalty, wanted: tuple[RuleEntry, ...]) -> str:
    """Replace the rules if they differ, and say how."""
    stored = tuple(RuleEntry(rule.data_path, rule.operator, _value(row, rule)) for rule in row.rules.all())
    if stored == wanted:
        return ""
    row.rules.all().delete()
    for rule in wanted:
        row.rules.create(data_path=rule.data_path, operator=rule.operator, value=rule.value)
    return from_to("rules", _rules_shown(stored), _rules_shown(wanted))


def _value(row: Requirement | Penalty, rule: Rule) -> str:
    """The value of a stored rule as a file would have it: a list without empty lines, a time with its zone."""
    if rule.operator in LISTING:
        return "\n".join(lines(rule.value))
    return with_zone(kinds(row.event_type).get(rule.data_path, ""), rule.value)


def _rules_shown(rules: Iterable[RuleEntry]) -> str:
    return f"[{'; '.join(f'{rule.data_path} {rule.operator} {_value_shown(rule)}' for rule in rules)}]"


def _value_shown(rule: RuleEntry) -> str:
    return f"({', '.join(map(shown, lines(rule.value)))})" if rule.operator in LISTING else shown(rule.value)


def _changed(row: Requirement | Penalty, *differing: str) -> list[Change]:
    detail = ", ".join(part for part in differing if part)
    return [_change(CHANGED, row, detail)] if detail else []


def _change(sign: Sign, row: Requirement | Penalty, detail: str = "") -> Change:
    return Change(sign, f"{row._meta.verbose_name} {row.slug}", detail, nested=True)
