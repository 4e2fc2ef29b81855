"""Does what was found agree with what must have come of the demo?  Every difference in one line for people."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.demo.findings import AWARDED, REVOKED, Findings
from pipeline.demo.scenario import Badges, Expectation
from pipeline.demo.stories import Outcome

NOTHING = Outcome()


def differences(expectation: Expectation, findings: Findings, badges: Badges) -> list[str]:
    """All differences; none means that every expected badge was issued, none twice, and all was told truly.

    Learners are named by their LMS user id.
    """
    return [
        *_ledger_differences(expectation, findings, badges),
        *_name_differences(expectation, findings),
        *_signal_differences(expectation, findings, badges),
        *_status_differences(expectation, findings),
        *_refusal_differences(findings),
    ]


def _ledger_differences(expectation: Expectation, findings: Findings, badges: Badges) -> Iterator[str]:
    held = Counter(
        (int(row["issuer_earner_id"]), row["template"], row["state"] == "revoked") for row in findings.ledger
    )
    pairs = {(learner, template) for learner, template, _ in held} | expectation.badges.keys()
    for learner, template in sorted(pairs):
        wanted = expectation.badges.get((learner, template), NOTHING)
        for word, is_revoked, number in (("live", False, wanted.live), ("revoked", True, wanted.revoked)):
            found = held[learner, template, is_revoked]
            if found != number:
                badge = f"{word} badge(s) {_name(badges, template)!r} of learner {learner}"
                yield f"Credly holds {found} {badge}, expected {number}"


def _name_differences(expectation: Expectation, findings: Findings) -> Iterator[str]:
    for row in findings.ledger:
        name = row["issued_to_first_name"], row["issued_to_last_name"]
        if expectation.names.get(int(row["issuer_earner_id"])) != name:
            yield f"Credly has another name for learner {row['issuer_earner_id']} than the LMS"


def _signal_differences(expectation: Expectation, findings: Findings, badges: Badges) -> Iterator[str]:
    yield from _order_differences(findings.signals)
    told = Counter((signal["learner"], signal["template"], signal["type"]) for signal in findings.signals)
    pairs = {(learner, template) for learner, template, _ in told} | expectation.badges.keys()
    for learner, template in sorted(pairs):
        wanted = expectation.badges.get((learner, template), NOTHING)
        for event_type, number in ((AWARDED, wanted.issued), (REVOKED, wanted.revoked)):
            if told[learner, template, event_type] != number:
                yield (
                    f"The LMS received {told[learner, template, event_type]} signal(s) {event_type} of "
                    f"{_name(badges, template)!r} for learner {learner}, expected {number}"
                )


def _order_differences(signals: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Each badge is awarded once, and revoked only then, once."""
    stories: dict[str, list[str]] = {}
    for signal in signals:
        stories.setdefault(signal["badge"], []).append(signal["type"])
    for badge, types in stories.items():
        if types not in ([AWARDED], [AWARDED, REVOKED]):
            yield f"The LMS received about badge {badge}: {', then '.join(types)}"


def _status_differences(expectation: Expectation, findings: Findings) -> Iterator[str]:
    wanted = {
        ("events", "received"): 0,
        ("events", "processed"): expectation.processed,
        # Our own signals are on the same topic; nobody subscribed to them here.
        ("events", "ignored"): expectation.ignored + expectation.signals,
        ("events", "failed"): expectation.failed,
        ("credly", "pending"): 0,
        ("credly", "failed"): expectation.refused,
        ("signals", "pending"): 0,
        ("signals", "failed"): 0,
        ("signals", "sent"): expectation.signals,
    }
    for (stage, state), number in wanted.items():
        if findings.status[stage][state] != number:
            yield f"{stage} {state}: {findings.status[stage][state]}, expected {number}"
    if not findings.status["idle"]:
        yield "something still waits"


def _refusal_differences(findings: Findings) -> Iterator[str]:
    if not findings.refused:
        yield "a learner without an address has no badge that could be refused"
    for badge in findings.refused:
        credly = badge["credly"]
        if credly["state"] != "failed" or "e-mail" not in (credly["error"] or ""):
            standing = f"{credly['state']}, with {credly['error']!r}"
            yield f"badge {badge['uuid']} of a learner without an address is {standing}"


def _name(badges: Badges, template: str) -> str:
    return badges.templates.get(template, template)
