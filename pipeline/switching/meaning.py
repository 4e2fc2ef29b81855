"""What a template of the peer means otherwise here.  Source: the peer as it was run and measured (facts/peer.md)."""

from collections import defaultdict
from collections.abc import Iterator

from pipeline.models import Operator
from pipeline.switching.peer import UNKNOWN, Peer, Requirement, Rule, Template

Difference = tuple[str, str]
"""What differs, and what to do."""


def differences(peer: Peer, template: Template) -> Iterator[Difference]:
    """All that differs in meaning, in words."""
    requirements = peer.requirements_of(template.pk)
    yield from _groups(requirements)
    yield from _alternatives(peer, template, requirements)
    yield from _missing_paths(peer, template, requirements)


def why_not_active(peer: Peer, template: Template) -> Iterator[str]:
    """Why a template must not become active here before somebody has looked, beside what the admin says against it."""
    if template.state == UNKNOWN:
        yield "Its state at the peer is none that is known here: it counts as a draft until it is synced."
    for row in peer.requirements_of(template.pk):
        if not peer.rules_of(row):
            yield (
                f"Requirement {row.pk} has no rule: at the peer it never matched; here every event of its type "
                "fulfills it."
            )
        if row.blend == UNKNOWN:
            yield f"The group of requirement {row.pk} is no letter from A to Z: here it has none."
        yield from _unknown_rules(f"requirement {row.pk}", peer.rules_of(row))
    for penalty in peer.penalties_of(template.pk):
        yield from _unknown_rules(f"penalty {penalty.pk}", peer.rules_of_penalty(penalty))


def _unknown_rules(owner: str, rules: list[Rule]) -> Iterator[str]:
    for rule in rules:
        if not rule.is_known:
            yield f"Rule {rule.pk} of {owner} has another operator than eq and ne: it is left out."


def _groups(requirements: list[Requirement]) -> Iterator[Difference]:
    alone = [row.pk for row in requirements if not row.group]
    if len(alone) > 1:
        yield (
            f"Requirements {_listed(alone)} have no group: the peer took them as alternatives of each other; "
            "here each is needed.",
            "To keep them alternatives, give them the same letter.",
        )
    if len({row.group for row in requirements}) > 1:
        yield (
            "It has several groups: the peer issued the badge as soon as one was fulfilled; here all are needed.",
            "If one is meant to be enough, give all requirements the same letter.",
        )


def _alternatives(peer: Peer, template: Template, requirements: list[Requirement]) -> Iterator[Difference]:
    groups = defaultdict(set)
    for row in requirements:
        if row.group:
            groups[row.group].add(row.pk)
    reset = {pk for penalty in peer.penalties_of(template.pk) for pk in penalty.requirements}
    if any(len(alternatives) > 1 and alternatives & reset for alternatives in groups.values()):
        yield (
            "A penalty resets one of several alternatives: the peer then revoked the badge; here it stays as long as "
            "another alternative is fulfilled.",
            "",
        )


def _missing_paths(peer: Peer, template: Template, requirements: list[Requirement]) -> Iterator[Difference]:
    of_requirements = [(f"requirement {row.pk}", rule) for row in requirements for rule in peer.rules_of(row)]
    penalties = peer.penalties_of(template.pk)
    of_penalties = [(f"penalty {row.pk}", rule) for row in penalties for rule in peer.rules_of_penalty(row)]
    for owner, rule in of_requirements + of_penalties:
        if rule.operator == Operator.NOT_EQUALS:
            yield (
                f"A rule of {owner} says that {rule.data_path} is not something: at the peer an event without "
                f"{rule.data_path} matches it too; here it does not.",
                "",
            )


def _listed(keys: list[int]) -> str:
    return ", ".join(map(str, keys))
