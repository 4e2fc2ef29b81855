"""What the peer and the tables here disagree about in a template that is here: whoever changed it, here it stays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pipeline.models import Organization, Penalty, Requirement, Template
from pipeline.switching import peer

TEMPLATE, REQUIREMENT, PENALTY = "badges.badgetemplate", "badges.badgerequirement", "badges.badgepenalty"


Row = TypeVar("Row", Requirement, Penalty)


class Difference(NamedTuple):
    """The peer's row (label and key), and in words what differs."""

    label: str
    pk: int
    reason: str


class Content(NamedTuple):
    """What a requirement or a penalty says; `resets` are ids of requirements here."""

    event_type: str
    group: str
    rules: frozenset[tuple[str, str, str]]
    resets: frozenset[int] = frozenset()


def slug(row: peer.Requirement | peer.Penalty) -> str:
    """The id that it gets here: the peer has no stable names but keys."""
    return f"{'requirement' if isinstance(row, peer.Requirement) else 'penalty'}-{row.pk}"


def counterparts(source: peer.Peer, template: int, own: Sequence[Requirement]) -> dict[int, Requirement]:
    """Which of ours the requirements of a template are: by the id that they get here, else by their content.

    One that counts, minds the time or the order is like none there: the peer knows no such requirement.
    """
    simple = [(each, _required_here(each)) for each in own if not _is_richer(each, own)]
    found = {}
    for row in source.requirements_of(template):
        mine = _alike(row, _required_there(source, row), simple)
        if mine is not None:
            found[row.pk] = mine
    return found


def _is_richer(row: Requirement, own: Sequence[Requirement]) -> bool:
    return (
        row.count > 1
        or row.told_apart_by != ""
        or row.counts_from is not None
        or row.counts_until is not None
        or row.after_id is not None
        or any(each.after_id == row.pk for each in own)
    )


def compare(
    source: peer.Peer, row: peer.Template, template: Template, owner: Organization, own: Mapping[int, Requirement]
) -> Iterator[Difference]:
    """All that differs.

    Args:
        source: the peer.
        row: the template there.
        template: the template here.
        owner: our organization that it belongs to at the peer.
        own: the `counterparts` of its requirements.
    """
    if template.organization_id != owner.pk:
        reason = f"It belongs to {owner.uuid} at the peer, to {template.organization.uuid} here."
        yield Difference(TEMPLATE, row.pk, reason)
    if template.active and not row.is_active:
        yield Difference(TEMPLATE, row.pk, "It is not active at the peer, and active here.")
    if template.per:
        yield Difference(
            TEMPLATE, row.pk, f"It is one badge at the peer, and one for each value of {template.per} here."
        )
    yield from _requirements(source, row.pk, template, own)
    yield from _penalties(source, row.pk, template, own)


def _requirements(
    source: peer.Peer, template: int, here: Template, own: Mapping[int, Requirement]
) -> Iterator[Difference]:
    for row in source.requirements_of(template):
        if row.pk not in own:
            yield Difference(REQUIREMENT, row.pk, "Its template has other requirements here, and none that is like it.")
        else:
            yield from _differing(REQUIREMENT, row.pk, _required_there(source, row), _required_here(own[row.pk]))
    there = {row.pk for row in own.values()}
    for mine in here.requirements.all():
        if mine.pk not in there:
            yield Difference(TEMPLATE, template, f"Requirement {mine.slug} is here, and not at the peer.")


def _penalties(
    source: peer.Peer, template: int, here: Template, own: Mapping[int, Requirement]
) -> Iterator[Difference]:
    contents = [(mine, _reset_here(mine)) for mine in here.penalties.prefetch_related("rules", "requirements")]
    there = set()
    for row in source.penalties_of(template):
        wanted = _reset_there(source, row, own)
        mine = _alike(row, wanted, contents)
        if mine is None:
            yield Difference(PENALTY, row.pk, "Its template has no such penalty here.")
        else:
            there.add(mine.pk)
            yield from _differing(PENALTY, row.pk, wanted, _reset_here(mine))
    for mine, _ in contents:
        if mine.pk not in there:
            yield Difference(TEMPLATE, template, f"Penalty {mine.slug} is here, and not at the peer.")


def _alike(
    row: peer.Requirement | peer.Penalty, wanted: Content, contents: Sequence[tuple[Row, Content]]
) -> Row | None:
    named = [mine for mine, _ in contents if mine.slug == slug(row)]
    return next(iter(named + [mine for mine, content in contents if content == wanted]), None)


def _differing(label: str, pk: int, there: Content, here: Content) -> Iterator[Difference]:
    if there.event_type != here.event_type:
        yield Difference(label, pk, f"Its event type is {there.event_type} at the peer, {here.event_type} here.")
    if there.group != here.group:
        yield Difference(label, pk, f"Its group is {there.group or 'none'} at the peer, {here.group or 'none'} here.")
    if there.rules != here.rules:
        yield Difference(label, pk, f"Its rules are {_shown(there.rules)} at the peer, {_shown(here.rules)} here.")
    if there.resets != here.resets:
        yield Difference(label, pk, "It resets other requirements at the peer than here.")


def _shown(rules: Iterable[tuple[str, str, str]]) -> str:
    return f"[{'; '.join(' '.join(rule) for rule in sorted(rules))}]"


def _required_there(source: peer.Peer, row: peer.Requirement) -> Content:
    return Content(row.event_type, row.group, _rules_there(source.rules_of(row)))


def _required_here(row: Requirement) -> Content:
    return Content(row.event_type, row.group, _rules_here(row))


def _reset_there(source: peer.Peer, row: peer.Penalty, own: Mapping[int, Requirement]) -> Content:
    resets = frozenset(own[pk].pk for pk in row.requirements if pk in own)
    return Content(row.event_type, "", _rules_there(source.rules_of_penalty(row)), resets)


def _reset_here(row: Penalty) -> Content:
    resets = frozenset(requirement.pk for requirement in row.requirements.all())
    return Content(row.event_type, "", _rules_here(row), resets)


def _rules_there(rows: Iterable[peer.Rule]) -> frozenset[tuple[str, str, str]]:
    return frozenset((rule.data_path, rule.operator, rule.value) for rule in rows if rule.is_known)


def _rules_here(row: Requirement | Penalty) -> frozenset[tuple[str, str, str]]:
    return frozenset((rule.data_path, rule.operator, rule.value) for rule in row.rules.all())
