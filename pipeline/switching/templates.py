"""Taking over the Credly badge templates of the peer with their requirements, penalties and rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline import rules
from pipeline.configuration import activation, organizations
from pipeline.configuration.difference import ADDED, CHANGED, Change, named, update
from pipeline.models import Organization, Penalty, Requirement, Template, TemplateState
from pipeline.switching import meaning, peer
from pipeline.switching.report import Report, Section

TEMPLATE = "badges.badgetemplate"
WEB = ("http://", "https://")
LONGEST_URL = 1000


@dataclass(frozen=True)
class Configuration:
    """What became of the peer's rules, by the peer's keys.

    `templates` and `requirements` are ours, the latter with their rules read; `compiled` tells when a template is complete.
    """

    templates: dict[int, Template] = field(default_factory=dict)
    requirements: dict[int, Requirement] = field(default_factory=dict)
    compiled: dict[int, rules.Template] = field(default_factory=dict)


def take_over(source: peer.Peer, owners: Mapping[int, Organization], report: Report) -> Configuration:
    """Write the templates that are missing here, with all that belongs to them.  May be repeated.

    A template that is here without any requirement and penalty, as a sync brings it, gets the peer's.  One that has some
    keeps what it has; what learners fulfilled is then counted for the requirements that are alike.

    Args:
        source: the peer.
        owners: our organizations by the peer's keys.
        report: is told.
    """
    templates: dict[int, Template] = {}
    for pk, row in sorted(source.templates.items()):
        if pk in source.credly_templates:
            owner = owners[source.credly_templates[pk].organization]
            templates[pk] = _template(source, row, owner, report)
            _look_at(source, row, templates[pk], report)
        else:
            _leave_out(source, row, report)
    requirements: dict[int, Requirement] = {}
    compiled = {}
    for pk, template in templates.items():
        own = list(template.requirements.prefetch_related("rules"))
        requirements |= _counterparts(source, pk, own, report)
        compiled[pk] = _compiled(template, own)
    return Configuration(templates, requirements, compiled)


def _template(source: peer.Peer, row: peer.Template, owner: Organization, report: Report) -> Template:
    found = Template.objects.select_for_update().filter(uuid=row.uuid).first()
    if found is not None and (found.requirements.exists() or found.penalties.exists()):
        return found
    active = row.is_active and not meaning.why_not_active(source, row)
    requirements, penalties = source.requirements_of(row.pk), source.penalties_of(row.pk)
    brought = f"{len(requirements)} requirement(s) and {len(penalties)} penalty(ies)"
    if found is None:
        found = Template.objects.create(
            uuid=row.uuid,
            organization=owner,
            name=row.name,
            description=row.description,
            image_url=row.icon if row.icon.startswith(WEB) and len(row.icon) <= LONGEST_URL else "",
            state=row.state,
            active=active,
        )
        words = f"{'active' if active else 'not active'}, with {brought}"
        report.changes.append(Change(ADDED, named(found), words))
    elif requirements or penalties:
        changed = update(found, {"active": active and found.state == TemplateState.ACTIVE})
        report.changes.append(Change(CHANGED, named(found), ", ".join(filter(None, [f"gets {brought}", changed]))))
    _conditions(source, row, found)
    return found


def _conditions(source: peer.Peer, row: peer.Template, template: Template) -> None:
    own: dict[int, Requirement] = {}
    for requirement in source.requirements_of(row.pk):
        own[requirement.pk] = Requirement.objects.create(
            template=template,
            slug=_slug(requirement),
            event_type=requirement.event_type,
            group=requirement.blend,
            description=requirement.description,
        )
        _rules(own[requirement.pk], source.rules_of(requirement))
    for penalty in source.penalties_of(row.pk):
        resetting = Penalty.objects.create(
            template=template, slug=f"penalty-{penalty.pk}", event_type=penalty.event_type
        )
        resetting.requirements.set([own[pk] for pk in penalty.requirements if pk in own])
        _rules(resetting, source.rules_of_penalty(penalty))


def _slug(requirement: peer.Requirement) -> str:
    """The peer has no stable names but keys."""
    return f"requirement-{requirement.pk}"


def _rules(owner: Requirement | Penalty, rows: Iterable[peer.Rule]) -> None:
    for rule in rows:
        owner.rules.create(data_path=rule.data_path, operator=rule.operator, value=rule.value)


def _counterparts(
    source: peer.Peer, template: int, own: Sequence[Requirement], report: Report
) -> dict[int, Requirement]:
    """Which of ours the requirements of a template are: by the id they get here, else by their content."""
    found = {}
    for requirement in source.requirements_of(template):
        content = _content(requirement, source.rules_of(requirement))
        alike = [row for row in own if row.slug == _slug(requirement)]
        alike += [row for row in own if _content_here(row) == content]
        if alike:
            found[requirement.pk] = alike[0]
        else:
            reason = "Its template has other requirements here, and none that is like it."
            report.say(Section.DIFFERS, "badges.badgerequirement", requirement.pk, reason)
    return found


def _compiled(template: Template, own: Iterable[Requirement]) -> rules.Template:
    requirements = tuple(rules.Requirement(row.pk, template.pk, row.event_type, row.group or None, ()) for row in own)
    return rules.Template(template.pk, requirements, (), template.reaward)


def _content(requirement: peer.Requirement, rows: Iterable[peer.Rule]) -> tuple[object, ...]:
    compared = frozenset((rule.data_path, rule.operator, rule.value) for rule in rows)
    return requirement.event_type, requirement.blend, compared


def _content_here(requirement: Requirement) -> tuple[object, ...]:
    compared = frozenset((rule.data_path, rule.operator, rule.value) for rule in requirement.rules.all())
    return requirement.event_type, requirement.group, compared


def _look_at(source: peer.Peer, row: peer.Template, template: Template, report: Report) -> None:
    """Say what means something else here, and what speaks against the template's being active."""

    def say(reason: str, advice: str = "") -> None:
        report.say(Section.TEMPLATES, TEMPLATE, row.pk, reason, advice, row.name)

    for reason, advice in meaning.differences(source, row):
        say(reason, advice)
    for penalty in source.penalties_of(row.pk):
        strange = [pk for pk in penalty.requirements if source.requirements[pk].template != row.pk]
        if strange:
            say(f"Penalty {penalty.pk} also reset requirements of other templates; here it does not.")
    sites = {source.templates[pk].site for pk in source.credly_templates}
    if len(sites) > 1:
        say(f"It belongs to site {row.site} of {len(sites)}; here one site has all templates.")
    if not row.is_active:
        return
    if not template.active:
        why = " ".join(meaning.why_not_active(source, row)) or "An operator may have switched it off."
        say(f"It is active at the peer, and not here. {why}", "Activate it when that is settled.")
    for problem in _problems(template):
        say(problem)


def _problems(template: Template) -> list[str]:
    """What speaks against activating it, but for what is said of its organization already."""
    try:
        organizations.api_key(template.organization)
        said = ""
    except organizations.KeyMissing as missing:
        said = str(missing)
    return [problem for problem in activation.problems(template) if problem != said]


def _leave_out(source: peer.Peer, row: peer.Template, report: Report) -> None:
    """Say that a template of another origin stays behind, and with it what belongs to it."""
    origin = row.origin or "nobody"
    report.say(
        Section.LEFT_OUT,
        TEMPLATE,
        row.pk,
        f"Its origin is {origin}; this project issues badges at Credly only.",
        "Leave the peer running for it.",
        row.name,
    )
    reason = f"It belongs to {TEMPLATE} {row.pk}, which is not taken over."
    for requirement in source.requirements_of(row.pk):
        report.say(Section.LEFT_OUT, "badges.badgerequirement", requirement.pk, reason)
        for rule in source.rules_of(requirement):
            report.say(Section.LEFT_OUT, "badges.datarule", rule.pk, reason)
    for penalty in source.penalties_of(row.pk):
        report.say(Section.LEFT_OUT, "badges.badgepenalty", penalty.pk, reason)
        for rule in source.rules_of_penalty(penalty):
            report.say(Section.LEFT_OUT, "badges.penaltydatarule", rule.pk, reason)
