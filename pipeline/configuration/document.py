"""Badge configuration as a file: YAML text to a checked document.

The format is fixed by the outward contract ("Badge configuration as code").  Whatever can be known to be
wrong before the tables are touched is refused here, all of it at once.
"""

import re
import string
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from pipeline.bus.catalogue import badge_event_types, key_paths
from pipeline.configuration.organizations import ENVIRONMENT_PREFIX
from pipeline.configuration.places import NO_UUID, Place, Report, parse_yaml
from pipeline.configuration.values import allowed_instead
from pipeline.models import Operator, TemplateState

VERSION = "1"
TRUE, FALSE = "true", "false"

_SLUG = re.compile(r"[-a-zA-Z0-9_]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_is_url = URLValidator(schemes=["http", "https"])


@dataclass(frozen=True, slots=True)
class OrganizationEntry:
    """A Credly organization; None is what the file leaves as it is.  `api_key` is a key or `env:NAME`."""

    uuid: UUID
    name: str | None
    api_key: str | None

    def __repr__(self) -> str:
        return f"OrganizationEntry(uuid={self.uuid!r}, name={self.name!r})"


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """One comparison of the value at a key path with an expected value."""

    data_path: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class RequirementEntry:
    """A requirement; `slug` is the file's `id`, and `group` is empty for a requirement needed by itself."""

    slug: str
    event_type: str
    group: str
    description: str
    rules: tuple[RuleEntry, ...]


@dataclass(frozen=True, slots=True)
class PenaltyEntry:
    """A penalty; `requirements` are the slugs of those it takes back."""

    slug: str
    event_type: str
    description: str
    requirements: tuple[str, ...]
    rules: tuple[RuleEntry, ...]


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """A badge template with all its requirements and penalties; None is what the file leaves as it is."""

    uuid: UUID
    organization: UUID
    name: str
    active: bool
    reaward: bool
    description: str | None
    image_url: str | None
    state: str | None
    requirements: tuple[RequirementEntry, ...]
    penalties: tuple[PenaltyEntry, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A badge configuration file without errors."""

    organizations: tuple[OrganizationEntry, ...]
    templates: tuple[TemplateEntry, ...]


def read_document(content: bytes, file: str, known_organizations: Collection[UUID]) -> Document:
    """Read and check a file.

    Args:
        content: the file's bytes.
        file: its name, for the errors.
        known_organizations: those that a template may belong to besides the file's own.

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
    owners = {*known_organizations, *(organization.uuid for organization in organizations)}
    seen = {}
    templates = tuple(_template(place, seen, owners) for place in fields["templates"].entries())
    report.raise_problems()
    return Document(organizations, templates)


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


def _template(place: Place, seen: dict[Hashable, Place], owners: Collection[UUID]) -> TemplateEntry:
    fields = place.mapping(
        ["uuid", "organization", "name"],
        ["active", "reaward", "description", "image_url", "state", "requirements", "penalties"],
    )
    requirement_ids: dict[Hashable, Place] = {}
    penalty_ids: dict[Hashable, Place] = {}
    requirements = tuple(_requirement(each, requirement_ids) for each in fields["requirements"].entries())
    slugs = [requirement.slug for requirement in requirements if requirement.slug]
    active = fields["active"].boolean()
    if active and not requirements:
        fields["active"].refuse("an active template needs at least one requirement")
    return TemplateEntry(
        uuid=_unique_uuid(fields["uuid"], seen),
        organization=_owner(fields["organization"], owners),
        name=fields["name"].text(255),
        active=active,
        reaward=fields["reaward"].boolean(),
        description=_if_present(fields["description"]),
        image_url=_image_url(fields["image_url"]),
        state=fields["state"].choice(TemplateState.values, "a state of a template") or None,
        requirements=requirements,
        penalties=tuple(_penalty(each, penalty_ids, slugs) for each in fields["penalties"].entries()),
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


def _requirement(place: Place, seen: dict[Hashable, Place]) -> RequirementEntry:
    fields = place.mapping(["id", "event_type"], ["group", "description", "rules"])
    event_type = _event_type(fields["event_type"])
    return RequirementEntry(
        slug=_slug(fields["id"], seen),
        event_type=event_type,
        group=_group(fields["group"]),
        description=fields["description"].text(blank=True),
        rules=_rules(fields["rules"].entries(), event_type),
    )


def _penalty(place: Place, seen: dict[Hashable, Place], requirement_slugs: Collection[str]) -> PenaltyEntry:
    fields = place.mapping(["id", "event_type", "requirements", "rules"], ["description"])
    event_type = _event_type(fields["event_type"])
    named: dict[Hashable, Place] = {}
    requirements = []
    for each in fields["requirements"].entries(at_least_one="requirement"):
        slug = each.choice(requirement_slugs, "a requirement of this template")
        each.unique(slug, named)
        requirements.append(slug)
    return PenaltyEntry(
        slug=_slug(fields["id"], seen),
        event_type=event_type,
        description=fields["description"].text(blank=True),
        requirements=tuple(requirements),
        rules=_rules(fields["rules"].entries(at_least_one="rule"), event_type),
    )


def _slug(place: Place, seen: dict[Hashable, Place]) -> str:
    slug = place.text(100)
    if slug and not _SLUG.fullmatch(slug):
        place.refuse(f"{slug!r} is not an id", "letters a-z A-Z, digits, - and _")
    place.unique(slug, seen)
    return slug


def _event_type(place: Place) -> str:
    return place.choice(badge_event_types(), "an event type badges may use")


def _group(place: Place) -> str:
    group = place.text()
    if group and (len(group) > 1 or group not in string.ascii_uppercase):
        place.refuse(f"{group[:10]!r} is not a group", "A to Z, or null")
    return group


def _rules(places: Iterable[Place], event_type: str) -> tuple[RuleEntry, ...]:
    paths = key_paths(event_type) if event_type else None
    return tuple(_rule(place, event_type, paths) for place in places)


def _rule(place: Place, event_type: str, paths: Mapping[str, str] | None) -> RuleEntry:
    """A rule; without `paths`, because its event type was refused, its key path and value go unchecked."""
    fields = place.mapping(["data_path", "operator", "value"])
    path = (
        fields["data_path"].text()
        if paths is None
        else fields["data_path"].choice(paths, f"a key path of {event_type}")
    )
    return RuleEntry(
        data_path=path,
        operator=fields["operator"].choice(Operator.values, "an operator"),
        value=_value(fields["value"], (paths or {}).get(path, "")),
    )


def _value(place: Place, type_word: str) -> str:
    """A rule's value as it is written; a YAML boolean at a boolean path is `true` or `false`."""
    if type_word == "boolean" and place.kind == "a boolean":
        return TRUE if place.boolean() else FALSE
    text = place.scalar(255, blank=type_word in ("", "text"))
    allowed = allowed_instead(type_word, text) if text else None
    if allowed:
        place.refuse(f"{text!r} does not fit the type of the key path, {type_word}", allowed)
    return text
