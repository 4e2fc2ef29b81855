"""`manage.py try_event`: what would an event do to a template's badge?"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from pipeline.management.command import DatabaseCommand
from pipeline.models import Event, Template
from pipeline.reports.trial import try_event
from pipeline.reports.trial_outcome import LearnerTrial, PenaltyTrial, RequirementTrial, RuleTrial, Step, Trial
from pipeline.reports.written_event import Unreadable, WrittenEvent, misfits, read


class Command(DatabaseCommand):
    """Print what an event would do, rule by rule, without doing it."""

    help = (
        "What would an event do to a template's badge? Rule by rule, without any effect; also for deactivated templates. "
        "Examples: ./manage.py try_event --template 3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21 --file event.json; "
        "... --event 6f1e2a52-43a6-4b07-9a3f-0b0a3c1f7f55 --json"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the template, where the event comes from, and `--json`."""
        parser.add_argument("--template", metavar="UUID", type=_uuid, required=True, help="the template's id at Credly")
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--event", metavar="ID", type=_uuid, help="the id of a stored event")
        source.add_argument(
            "--file",
            metavar="FILE",
            help='one event as JSON: {"type": name, "payload": {...}, "time": ISO 8601, "id": uuid}, where time (now) and id '
            "may be left out; - is standard input",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        """Print the trial.

        Raises:
            CommandError: the template, the event or the file is not there, or the file is no event.
        """
        template = Template.objects.filter(uuid=options["template"]).first()
        if template is None:
            raise CommandError(f"There is no badge template {options['template']}.")
        event = _stored(options["event"]) if options["event"] else _written(options["file"])
        try:
            trial = try_event(template, event.type, event.payload, event.time, event.id)
        except ValueError as error:
            raise CommandError(f"The template takes no part in anything, since it is broken: {error}.") from error
        unfit = [] if options["event"] else misfits(event)
        if options["json"]:
            self.stdout.write(json.dumps({**asdict(trial), "words": trial.words, "misfits": unfit}, default=_plain))
        else:
            self.stdout.write("\n".join(_lines(trial, unfit)))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; it must be a UUID") from None


def _stored(id: UUID) -> WrittenEvent:
    event = Event.objects.filter(pk=id).first()
    if event is None:
        raise CommandError(f"No event {id} is stored: it never came, or it was purged.")
    if event.raw is not None:
        raise CommandError(f"Event {id} could not be read when it came, so there is nothing to try.")
    return WrittenEvent(event.type, event.payload, event.time, event.pk)


def _written(file: str) -> WrittenEvent:
    try:
        return read(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
    except Unreadable as error:
        raise CommandError(f"{file}: {error}") from error
    except OSError as error:
        raise CommandError(f"can't read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"can't read {file}: it is not UTF-8") from error


def _plain(value: UUID | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _lines(trial: Trial, unfit: Iterable[str]) -> Iterator[str]:
    yield trial.words
    yield f"\nBadge template {trial.name} ({trial.template})"
    if trial.per:
        yield f"One badge for each value of {trial.per}: {trial.value or 'the event has none'}"
    yield f"Event {trial.event_type} of {trial.time.isoformat()}"
    yield from (f"  could not come over the event bus: {misfit}" for misfit in unfit)
    for requirement in trial.requirements:
        group = f" (group {requirement.group})" if requirement.group else ""
        yield f"\nRequirement {requirement.slug}{group}: {'met' if requirement.met else 'not met'}"
        yield from _rules(requirement)
    for penalty in trial.penalties:
        resets = f" (takes back {', '.join(penalty.requirements) or 'nothing'})"
        yield f"\nPenalty {penalty.slug}{resets}: {'met' if penalty.strikes else 'not met'}"
        yield from _rules(penalty)
    if trial.learner:
        yield from _learner(trial.learner)


def _rules(condition: RequirementTrial | PenaltyTrial) -> Iterator[str]:
    if not condition.same_type:
        yield f"  waits for another event type: {condition.event_type}"
    elif not condition.rules:
        yield "  has no rules"
    if isinstance(condition, RequirementTrial):
        yield from (f"  {reason}" for reason in condition.unfit)
    yield from (f"  {_rule(rule)}" for rule in condition.rules)


def _rule(rule: RuleTrial) -> str:
    mark = "[x]" if rule.matched else "[ ]"
    found = "missing or null" if rule.found is None else json.dumps(rule.found, ensure_ascii=False)
    return f"{mark} {rule.path} {rule.operator} {json.dumps(rule.expected, ensure_ascii=False)}, found {found}"


def _learner(learner: LearnerTrial) -> Iterator[str]:
    known = "" if learner.record else ", about whom no event has counted yet"
    yield f"\nLearner with LMS user id {learner.lms_user_id}{known}; badge today: {learner.standing or 'none'}"
    for step in learner.steps:
        yield f"  {step.requirement}: {_today(step)}; {step.words}"


def _today(step: Step) -> str:
    """What decides the requirement; of one that takes several events, one that takes back may leave others that count."""
    if step.before is None:
        return "not fulfilled"
    event = f"event {step.before.event} of {step.before.time.isoformat()}"
    if step.before.fulfilled:
        return f"fulfilled by {event}"
    return f"not fulfilled, {event} last took something back" if step.count else f"taken back by {event}"
