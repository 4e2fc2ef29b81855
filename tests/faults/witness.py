"""What is wrong, seen from outside: Credly's ledger and feed, the stream itself, and the inbox; and by our own `reconcile`."""

import enum
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from openedx_events.event_bus.avro.deserializer import deserialize_bytes_to_event_data
from openedx_events.learning.signals import BADGE_AWARDED, BADGE_REVOKED

from pipeline.embedded.system import TOPIC
from tests.faults.cluster import Cluster
from tests.faults.story import Story

LIVE = ("pending", "accepted")
_SIGNALS = {signal.event_type.encode(): signal for signal in (BADGE_AWARDED, BADGE_REVOKED)}

Holder = tuple[str, str]
"""A template's uuid and a learner's LMS user id."""


class Kind(enum.Enum):
    """Which promise is broken."""

    LOST = "lost"  # an event, an effect or a signal that should be there
    DUPLICATE = "duplicate"  # an effect that happened twice
    FALSE = "false"  # what should not be so


_BY_DISCREPANCY = {"missing": Kind.LOST, "extra": Kind.DUPLICATE, "different": Kind.FALSE}


@dataclass(frozen=True)
class Violation:
    """One broken promise, in words."""

    kind: Kind
    words: str

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.words}"


@dataclass(frozen=True)
class Told:
    """One entry of the stream that tells what became of a badge."""

    fact: str
    badge: UUID
    id: str
    milliseconds: int


def violations(cluster: Cluster, story: Story) -> list[Violation]:
    """Every promise that is broken for the learners of a story, once nothing waits any more."""
    checks: list[Callable[[Cluster, Story], Iterator[Violation]]] = [
        _work_left,
        _events,
        _badges_at_credly,
        _never_two_at_once,
        _signals,
        _refused_rows,
        _reconciliation,
    ]
    return [line for check in checks for line in check(cluster, story)]


def signals(cluster: Cluster, story: Story) -> int:
    """How many signals were told about the learners of a story, repeats not counted."""
    return sum(len(_without_repeats(told)) for told in _told(cluster, story).values())


def refused_rows(cluster: Cluster) -> dict[str, str]:
    """Everything that is set aside as failed, with its reason."""
    return {
        f"{table} {identity}": error
        for table, column in (("event", "status"), ("badge", "credly_state"), ("signal", "state"))
        for identity, error in cluster.query(f"SELECT id, error FROM pipeline_{table} WHERE {column} = 'failed'")
    }


def live_badges(cluster: Cluster, story: Story) -> list[dict[str, Any]]:
    """The badges that learners of a story hold at Credly now, as its ledger has them."""
    return [badge for badge in _ledger(cluster, story) if badge["state"] in LIVE]


def live_holders(cluster: Cluster, story: Story) -> set[Holder]:
    """Who holds a badge at Credly now, of the learners of a story."""
    return {(badge["template"], badge["issuer_earner_id"]) for badge in live_badges(cluster, story)}


def _work_left(cluster: Cluster, _: Story) -> Iterator[Violation]:
    for what in cluster.waiting():
        yield Violation(Kind.LOST, f"still waiting: {what}")
    status = cluster.status()
    if not status["idle"] and not cluster.waiting():
        yield Violation(Kind.FALSE, f"pipeline_status says it is not idle: {status}")


def _events(cluster: Cluster, story: Story) -> Iterator[Violation]:
    """Each event is in the inbox once, and ended as the rules say."""
    users = ",".join(str(learner.id) for learner in story.learners)
    rows = cluster.query(
        f"SELECT id, status, error FROM pipeline_event WHERE lms_user_id IN ({users}) AND type NOT LIKE '%.badge.%'"
    )
    found = {UUID(hex=identity): status for identity, status, _ in rows}
    played = {event.id for event in story.events}
    matching = story.matching()
    for event in played - set(found):
        yield Violation(Kind.LOST, f"event {event} is not in the inbox")
    for event in set(found) - played:
        yield Violation(Kind.DUPLICATE, f"event {event} is in the inbox and was never played")
    for event in played & set(found):
        expected = "processed" if event in matching else "ignored"
        if found[event] != expected:
            yield Violation(Kind.FALSE, f"event {event} is {found[event]}, should be {expected}")


def _badges_at_credly(cluster: Cluster, story: Story) -> Iterator[Violation]:
    """The oracle's set, each once."""
    live: dict[Holder, int] = defaultdict(int)
    for badge in _ledger(cluster, story):
        live[badge["template"], badge["issuer_earner_id"]] += badge["state"] in LIVE
    expected = story.holders()
    for holder in sorted(live.keys() | expected):
        should = int(holder in expected)
        if live[holder] != should:
            words = f"at Credly {_name(holder)} holds {live[holder]} live badge(s), should hold {should}"
            yield Violation(Kind.LOST if live[holder] < should else Kind.FALSE, words)


def _never_two_at_once(cluster: Cluster, story: Story) -> Iterator[Violation]:
    """Replays Credly's feed."""
    users = {str(learner.id) for learner in story.learners}
    live: dict[Holder, set[str]] = defaultdict(set)
    for event in cluster.credly("GET", f"events?organization_id={story.school.organization}")["events"]:
        badge = event.get("badge")
        if badge is None or badge["issuer_earner_id"] not in users:
            continue
        holder = (badge["badge_template"]["id"], badge["issuer_earner_id"])
        (live[holder].add if badge["state"] in LIVE else live[holder].discard)(badge["id"])
        if len(live[holder]) > 1:
            words = f"at {event['occurred_at']} {_name(holder)} held {len(live[holder])} live badges"
            yield Violation(Kind.DUPLICATE, words)


def _signals(cluster: Cluster, story: Story) -> Iterator[Violation]:
    """What was told is what happened at Credly, in order, each fact once (or again with the same id), and not before."""
    happened = _happened(cluster, story)
    told = _told(cluster, story)
    for holder in sorted(happened.keys() | told.keys()):
        facts, news = happened[holder], _without_repeats(told[holder])
        if [fact for fact, _ in facts] != [each.fact for each in news]:
            said, true = (" ".join(each) or "nothing" for each in ([n.fact for n in news], [f for f, _ in facts]))
            words = f"signals about {_name(holder)}: {said}; at Credly: {true}"
            yield Violation(Kind.LOST if len(news) < len(facts) else Kind.FALSE, words)
            continue
        for each, (fact, since) in zip(news, facts, strict=True):
            if each.milliseconds < since:
                early = since - each.milliseconds
                yield Violation(Kind.FALSE, f"{_name(holder)}: {fact} was told {early} ms before it was so")
        badges = [each.badge for each in news]
        if badges[1::2] != badges[0::2][: len(badges) // 2] or len(set(badges)) != (len(badges) + 1) // 2:
            yield Violation(Kind.FALSE, f"signals about {_name(holder)} mix up badges: {badges}")


def _happened(cluster: Cluster, story: Story) -> dict[Holder, list[tuple[str, int]]]:
    """Per learner and template, awards and revocations by Credly's ledger, with their time in milliseconds."""
    happened: dict[Holder, list[tuple[str, int]]] = defaultdict(list)
    for badge in _ledger(cluster, story):
        facts = happened[badge["template"], badge["issuer_earner_id"]]
        facts.append(("awarded", _milliseconds(badge["created_at"])))
        if badge["state"] == "revoked":
            facts.append(("revoked", _milliseconds(badge["state_updated_at"])))
    return happened


def _told(cluster: Cluster, story: Story) -> dict[Holder, list[Told]]:
    users = {learner.id for learner in story.learners}
    told: dict[Holder, list[Told]] = defaultdict(list)
    entries: Any = cluster.bus.xrange(TOPIC)
    for entry_id, fields in entries:
        signal = _SIGNALS.get(fields[b"type"])
        if signal is None:
            continue
        badge = deserialize_bytes_to_event_data(fields[b"event_data"], signal)["badge"]
        if badge.user.id in users:
            fact = signal.event_type.split(".")[-2]
            identity, milliseconds = fields[b"id"].decode(), int(entry_id.split(b"-")[0])
            told[str(badge.template.uuid), str(badge.user.id)].append(
                Told(fact, UUID(str(badge.uuid)), identity, milliseconds)
            )
    return told


def _without_repeats(told: list[Told]) -> list[Told]:
    """As a consumer sees them that drops what it knows by its id."""
    return list({each.id: each for each in reversed(told)}.values())[::-1]


def _refused_rows(cluster: Cluster, _: Story) -> Iterator[Violation]:
    """None of these faults is a reason to give anything up."""
    for row, error in refused_rows(cluster).items():
        yield Violation(Kind.LOST, f"{row} failed: {error or 'without a reason'}")


def _reconciliation(cluster: Cluster, story: Story) -> Iterator[Violation]:
    """A second opinion: our own comparison with Credly finds no difference."""
    users = {learner.id for learner in story.learners}
    for found in cluster.reconcile(story.school.organization):
        if found["learner"] in users:
            words = f"reconcile: {found['kind']}, learner {found['learner']}: {found['detail']}"
            yield Violation(_BY_DISCREPANCY[found["kind"]], words)


def _ledger(cluster: Cluster, story: Story) -> list[dict[str, Any]]:
    users = {str(learner.id) for learner in story.learners}
    rows = cluster.credly("GET", f"ledger?organization={story.school.organization}")["badges"]
    return [badge for badge in rows if badge["issuer_earner_id"] in users]


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _name(holder: Holder) -> str:
    template, learner = holder
    return f"learner {learner} of template {template[:8]}"
