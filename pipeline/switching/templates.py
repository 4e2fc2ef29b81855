"""Taking over the Credly badge templates of the peer with their requirements, penalties and rules."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pipeline import rules
from pipeline.configuration import activation, organizations
from pipeline.configuration.difference import ADDED, CHANGED, Change, named, update
from pipeline.models import Organization, Penalty, Requirement, Template, TemplateState
from pipeline.switching import meaning, peer
from pipeline.switching.comparison import TEMPLATE, compare, counterparts, slug
from pipeline.switching.report import Report, Section

OUR_TEMPLATE = "template"
"""The label of a template of ours in the report."""

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
    keeps what it has, and whatever differs is reported; what learners fulfilled is counted for the requirements that are
    alike.  One that is written becomes active if it is at the peer and nothing speaks against it.

    Args:
        source: the peer.
        owners: our organizations by the peer's keys.
        report: gets the changes, what differs and what is worth a look.
    """
    templates: dict[int, Template] = {}
    requirements: dict[int, Requirement] = {}
    compiled = {}
    for pk, row in sorted(source.templates.items()):
        if pk in source.credly_templates:
            owner = owners[source.credly_templates[pk].organization]
            template = templates[pk] = _template(source, row, owner, report)
            own = list(template.requirements.prefetch_related("rules"))
            alike = {} if template.per else counterparts(source, pk, own)
            differences = list(compare(source, row, template, owner, alike))
            for difference in differences:
                report.say(Section.DIFFERS, *difference, name=row.name)
            _look_at(source, row, template, report, is_the_same=not differences)
            requirements |= alike
            compiled[pk] = _compiled(template, own)
        else:
            _leave_out(source, row, report)
    return Configuration(templates, requirements, compiled)


def note_only_here(configuration: Configuration, report: Report) -> None:
    """Say which active templates the peer does not have."""
    own = [template.pk for template in configuration.templates.values()]
    for template in Template.objects.filter(active=True).exclude(pk__in=own):
        report.say(Section.DIFFERS, OUR_TEMPLATE, str(template.uuid), "The peer has none such.", name=template.name)


def _template(source: peer.Peer, row: peer.Template, owner: Organization, report: Report) -> Template:
    found = Template.objects.select_for_update().filter(uuid=row.uuid).first()
    if found is not None and (found.requirements.exists() or found.penalties.exists()):
        return found
    requirements, penalties = source.requirements_of(row.pk), source.penalties_of(row.pk)
    if found is not None and not (requirements or penalties):
        return found
    is_new = found is None
    found = found or _create(row, owner)
    _conditions(source, row, found)
    may_be_active = row.is_active and found.organization == owner and not _against(source, row, found)
    activated = update(found, {"active": may_be_active})
    brought = f"{len(requirements)} requirement(s) and {len(penalties)} penalty(ies)"
    if is_new:
        words = f"{'active' if found.active else 'not active'}, with {brought}"
        report.changes.append(Change(ADDED, named(found), words))
    else:
        report.changes.append(Change(CHANGED, named(found), ", ".join(filter(None, [f"gets {brought}", activated]))))
    return found


def _create(row: peer.Template, owner: Organization) -> Template:
    return Template.objects.create(
        uuid=row.uuid,
        organization=owner,
        name=row.name,
        description=row.description,
        image_url=row.icon if _is_image(row.icon) else "",
        state=TemplateState.DRAFT if row.state == peer.UNKNOWN else row.state,
    )


def _is_image(icon: str) -> bool:
    return icon.startswith(WEB) and len(icon) <= LONGEST_URL


def _conditions(source: peer.Peer, row: peer.Template, template: Template) -> None:
    own: dict[int, Requirement] = {}
    for requirement in source.requirements_of(row.pk):
        own[requirement.pk] = Requirement.objects.create(
            template=template,
            slug=slug(requirement),
            event_type=requirement.event_type,
            group=requirement.group,
            description=requirement.description,
        )
        _rules(own[requirement.pk], source.rules_of(requirement))
    for penalty in source.penalties_of(row.pk):
        resetting = Penalty.objects.create(template=template, slug=slug(penalty), event_type=penalty.event_type)
        resetting.requirements.set([own[pk] for pk in penalty.requirements if pk in own])
        _rules(resetting, source.rules_of_penalty(penalty))


def _rules(owner: Requirement | Penalty, rows: Iterable[peer.Rule]) -> None:
    for rule in rows:
        if rule.is_known:
            owner.rules.create(data_path=rule.data_path, operator=rule.operator, value=rule.value)


def _compiled(template: Template, own: Iterable[Requirement]) -> rules.Template:
    requirements = tuple(rules.Requirement(row.pk, template.pk, row.event_type, row.group or None, ()) for row in own)
    return rules.Template(template.pk, requirements, (), template.reaward)


def _look_at(source: peer.Peer, row: peer.Template, template: Template, report: Report, *, is_the_same: bool) -> None:
    """Say what means something else here, and what speaks against the template's being active.

    What means something else is said of the peer's rules, so only if they are the same here.
    """
    remarks = [*_remarks(source, row), *_of_activity(source, row, template)]
    for reason, advice in [*meaning.differences(source, row), *remarks] if is_the_same else remarks:
        report.say(Section.TEMPLATES, TEMPLATE, row.pk, reason, advice, row.name)
    for label, rule in _unknown_rules(source, row):
        report.say(Section.LEFT_OUT, label, rule.pk, "Its operator is neither eq nor ne.")


def _remarks(source: peer.Peer, row: peer.Template) -> Iterator[meaning.Difference]:
    if row.icon and not _is_image(row.icon):
        yield "Its icon is no web address, and is left out.", "A sync brings Credly's."
    for penalty in source.penalties_of(row.pk):
        if any(source.requirements[pk].template != row.pk for pk in penalty.requirements):
            yield f"Penalty {penalty.pk} also reset requirements of other templates; here it does not.", ""
    sites = {source.templates[pk].site for pk in source.credly_templates}
    if len(sites) > 1:
        yield f"It belongs to site {row.site} of {len(sites)}; here one site has all templates.", ""


def _of_activity(source: peer.Peer, row: peer.Template, template: Template) -> Iterator[meaning.Difference]:
    if row.is_active and not template.active:
        why = " ".join(_against(source, row, template)) or "An operator may have switched it off."
        yield f"It is active at the peer, and not here. {why}", "Activate it when that is settled."
        return
    for problem in _problems(template) if template.active else meaning.why_not_active(source, row):
        yield problem, ""


def _unknown_rules(source: peer.Peer, row: peer.Template) -> Iterator[tuple[str, peer.Rule]]:
    for requirement in source.requirements_of(row.pk):
        yield from (("badges.datarule", rule) for rule in source.rules_of(requirement) if not rule.is_known)
    for penalty in source.penalties_of(row.pk):
        yield from (("badges.penaltydatarule", rule) for rule in source.rules_of_penalty(penalty) if not rule.is_known)


def _against(source: peer.Peer, row: peer.Template, template: Template) -> list[str]:
    """Why the template must not become active before somebody has looked."""
    return [*meaning.why_not_active(source, row), *_problems(template)]


def _problems(template: Template) -> list[str]:
    """What the admin says against activating it, but for a missing API key: its badges wait for that."""
    try:
        organizations.api_key(template.organization)
        missing_key = ""
    except organizations.KeyMissing as missing:
        missing_key = str(missing)
    return [problem for problem in activation.problems(template) if problem != missing_key]


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
