"""Badge configuration as a file: YAML text to a checked document.

The format is fixed by the outward contract ("Badge configuration as code").  Whatever can be known to be
wrong before the tables are touched is refused here, all of it at once.
"""

import re
from collections.abc import Collection, Hashable, Iterable
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from pipeline.configuration.circles import circle, needs
from pipeline.configuration.condition_places import ConditionPlace, read_penalty, read_requirement, refuse
from pipeline.configuration.conditions import order_problems, per_change_problem, per_problem
from pipeline.configuration.entries import Document, Known, OrganizationEntry, RequirementEntry, TemplateEntry
from pipeline.configuration.organizations import ENVIRONMENT_PREFIX
from pipeline.configuration.places import NO_UUID, Place, Report, parse_yaml
from pipeline.models import TemplateState

VERSION = "1"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_is_url = URLValidator(schemes=["http", "https"])


def read_document(content: bytes, file: str, known: Known) -> Document:
    """Read and check a file.

    Args:
        content: the file's bytes.
        file: its name, for the errors.
        known: what there is already.

    Raises:
        DocumentError: with every error of the file.
    """
    report = Report(file)
    fields = parse_yaml(content, report).mapping(["version"], ["organizations", "templates"])
    version = fields["version"]
    if version.present and (version.kind != "a number" or version.scalar(10) != VERSION):
        version.refuse("is not a known version of this format", VERSION)
    seen: dict[Hashable, Place] = {}
    organizations = tuple(_organization(place, seen) for place in fields["organizations"].entries())
    owners = {*known.organizations, *(organization.uuid for organization in organizations)}
    seen = {}
    places = fields["templates"].entries()
    templates = tuple(_template(place, seen, owners, known) for place in places)
    _refuse_circles(templates, places, known)
    report.raise_problems()
    _warn_of_strangers(report, {*known.templates, *(entry.uuid for entry in templates)})
    warnings = sorted(report.warnings, key=lambda warning: warning.line)
    return Document(organizations, templates, tuple(map(str, warnings)))


def _organization(place: Place, seen: dict[Hashable, Place]) -> OrganizationEntry:
    fields = place.mapping(["uuid"], ["name", "api_key"])
    return OrganizationEntry(
        uuid=_unique_uuid(fields["uuid"], seen),
        name=_if_present(fields["name"], 255),
        api_key=_api_key(fields["api_key"]),
    )


def _api_key(place: Place) -> str | None:
    if not place.present:
        return None
    key = place.text()
    if key.startswith(ENVIRONMENT_PREFIX):
        name = key.removeprefix(ENVIRONMENT_PREFIX)
        if not _VARIABLE.fullmatch(name):
            place.refuse("names no environment variable", "env:NAME or a key")
    return key


def _template(place: Place, seen: dict[Hashable, Place], owners: Collection[UUID], known: Known) -> TemplateEntry:
    fields = place.mapping(
        ["uuid", "organization", "name"],
        ["active", "reaward", "per", "description", "image_url", "state", "requirements", "penalties"],
    )
    uuid = _unique_uuid(fields["uuid"], seen)
    per = fields["per"].text(255)
    requirement_ids: dict[Hashable, Place] = {}
    penalty_ids: dict[Hashable, Place] = {}
    read = [read_requirement(each, requirement_ids, per) for each in fields["requirements"].entries()]
    requirements = tuple(requirement for requirement, _ in read)
    slugs = [requirement.slug for requirement in requirements if requirement.slug]
    penalties = tuple(read_penalty(each, penalty_ids, slugs) for each in fields["penalties"].entries())
    _refuse_order(read)
    event_types = [*(each.event_type for each in requirements), *(each.event_type for each in penalties)]
    refuse(fields, per_change_problem(known.per.get(uuid, per), per))
    refuse(fields, per_problem(per, event_types, allows_duplicates=known.allows_duplicates.get(uuid)))
    active = fields["active"].boolean()
    if active and not requirements:
        fields["active"].refuse("an active template needs at least one requirement")
    return TemplateEntry(
        uuid=uuid,
        organization=_owner(fields["organization"], owners),
        name=fields["name"].text(255),
        active=active,
        reaward=fields["reaward"].boolean(),
        per=per,
        description=_if_present(fields["description"]),
        image_url=_image_url(fields["image_url"]),
        state=fields["state"].choice(TemplateState.values, "a state of a template") or None,
        requirements=requirements,
        penalties=penalties,
    )


def _refuse_order(read: Iterable[tuple[RequirementEntry, ConditionPlace]]) -> None:
    """Refuse what requirements of one template come after, where that can't be."""
    named = {requirement.slug: (requirement, fields) for requirement, fields in read if requirement.slug}
    for slug, problem in order_problems([requirement.wanted for requirement, _ in named.values()]).items():
        _, fields = named[slug]
        refuse(fields, problem)


def _refuse_circles(templates: Iterable[TemplateEntry], places: Iterable[Place], known: Known) -> None:
    """Refuse templates that need badges of each other in a circle; those that the file does not mention stay as they are."""
    needed = {**known.needs, **{entry.uuid: needs(each.wanted for each in entry.requirements) for entry in templates}}
    for entry, place in zip(templates, places, strict=True):
        if found := circle(entry.uuid, needed):
            way = " needs ".join(str(each) for each in (*found, entry.uuid))
            place.refuse(f"the template would need a badge of its own: {way}")


def _warn_of_strangers(report: Report, there: Collection[UUID]) -> None:
    """Warn of what goes by badges of templates that there are not: they may come later, or the id is a slip of the hand."""
    for place, uuid in report.named:
        if uuid not in there:
            place.warn(
                f"{uuid} is a template of neither this file nor the database: no event matches until there is one"
            )


def _unique_uuid(place: Place, seen: dict[Hashable, Place]) -> UUID:
    value = place.uuid()
    place.unique(value, seen)
    return value


def _owner(place: Place, owners: Collection[UUID]) -> UUID:
    owner = place.uuid()
    if owner != NO_UUID and owner not in owners:
        known = sorted(str(each) for each in owners if each != NO_UUID)
        place.refuse(f"{owner} is an organization of neither this file nor the database", ", ".join(known) or "none")
    return owner


def _image_url(place: Place) -> str | None:
    url = _if_present(place, 1000)
    if url:
        try:
            _is_url(url)
        except ValidationError:
            place.refuse("is not a URL", "http:// or https:// and what follows")
    return url


def _if_present(place: Place, max_length: int | None = None) -> str | None:
    return place.text(max_length, blank=True) if place.present else None
