"""The stories are written by hand; here the rules engine is asked whether they can be true, in every order."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations, product
from uuid import UUID

import pytest

from pipeline import rules
from pipeline.configuration.document import read_document
from pipeline.configuration.entries import Document, Known, TemplateEntry
from pipeline.demo.scenario import BADGES_FILE
from pipeline.demo.stories import PHASES, STORIES, Outcome, Step, Story
from pipeline.lms.events import CCX_PASSING, LmsLearner, passing_event

LEARNER = LmsLearner(1, "ada", "ada@example.org", "Ada")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def document() -> Document:
    return read_document(BADGES_FILE.read_bytes(), str(BADGES_FILE), Known())


def test_the_badge_file_uses_every_feature_of_the_rules(document: Document) -> None:
    templates = document.templates
    requirements = [requirement for template in templates for requirement in template.requirements]
    groups = [[requirement.group for requirement in template.requirements] for template in templates]
    lettered = [[letter for letter in letters if letter] for letters in groups]
    assert len(templates) == 6
    assert {rule.operator for requirement in requirements for rule in requirement.rules} == {"eq", "ne"}
    assert any(not requirement.rules for requirement in requirements)
    assert any(len(set(letters)) > 1 for letters in lettered), "groups that are all needed"
    assert any(len(set(letters)) < len(letters) for letters in lettered), "alternatives in a group"
    assert any("" in letters and any(letters) for letters in groups), "a requirement without a group beside groups"
    assert any(requirement.event_type == CCX_PASSING for requirement in requirements)
    assert {template.reaward for template in templates if template.penalties} == {True, False}


def test_every_template_is_earned_and_lost_where_it_can_be(document: Document) -> None:
    issued = {name for story in STORIES for name, outcome in story.outcomes.items() if outcome.issued}
    revoked = {name for story in STORIES for name, outcome in story.outcomes.items() if outcome.revoked}
    assert issued == {template.name for template in document.templates}
    assert revoked == {template.name for template in document.templates if template.penalties}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_ends_as_told_whatever_the_order_within_a_phase(story: Story, document: Document) -> None:
    for order in _orders(story):
        for number, entry in enumerate(document.templates):
            outcome = story.outcomes.get(entry.name, Outcome())
            template = _compiled(number, entry)
            assert _played(order, template) == (outcome.issued + outcome.refused, outcome.revoked), entry.name


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_tells_which_events_meet_no_rule(story: Story, document: Document) -> None:
    ruleset = rules.Ruleset(_compiled(number, entry) for number, entry in enumerate(document.templates))
    for step in story.steps:
        event = _event(step)
        assert bool(ruleset.match(event.type, event.payload, event.time)) == step.counts


def test_story_names_are_unique() -> None:
    assert len({story.name for story in STORIES}) == len(STORIES)


def _orders(story: Story) -> Iterator[list[Step]]:
    phases = [[step for step in story.steps if step.phase == phase] for phase in range(len(PHASES))]
    assert sum(map(len, phases)) == len(story.steps)
    for chosen in product(*(permutations(steps) for steps in phases)):
        yield [step for steps in chosen for step in steps]


def _played(order: list[Step], template: rules.Template) -> tuple[int, int]:
    """Badges issued and revoked when each event takes effect before the next one comes."""
    decisions: dict[int, rules.Decision] = {}
    issued = revoked = 0
    ruleset = rules.Ruleset([template])
    for step in order:
        event = _event(step)
        for match in ruleset.match(event.type, event.payload, event.time):
            for fulfilled, decided in ((True, match.fulfills - match.resets), (False, match.resets)):
                for requirement in decided:
                    new = rules.Decision(event.time, event.id, fulfilled)
                    if requirement not in decisions or rules.supersedes(new, decisions[requirement]):
                        decisions[requirement] = new
        complete = rules.complete(template, [key for key, decision in decisions.items() if decision.fulfilled])
        if complete and issued == revoked and (not revoked or template.reaward):
            issued += 1
        elif not complete and issued > revoked:
            revoked += 1
    return issued, revoked


def _event(step: Step):  # type: ignore[no-untyped-def]
    return passing_event(LEARNER, step.course, step.passing, BEGAN + timedelta(days=step.day), UUID(int=step.day))


def _compiled(number: int, entry: TemplateEntry) -> rules.Template:
    ids = {requirement.slug: number * 100 + index for index, requirement in enumerate(entry.requirements)}
    requirements = tuple(
        rules.Requirement(ids[each.slug], number, each.event_type, each.group or None, _rules(each.rules))
        for each in entry.requirements
    )
    penalties = tuple(
        rules.Penalty(
            index, number, each.event_type, frozenset(ids[slug] for slug in each.requirements), _rules(each.rules)
        )
        for index, each in enumerate(entry.penalties)
    )
    return rules.Template(number, requirements, penalties, entry.reaward)


def _rules(entries):  # type: ignore[no-untyped-def]
    return tuple(rules.Rule(entry.data_path, entry.operator, entry.value) for entry in entries)
