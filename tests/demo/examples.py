"""A small scenario, and findings exactly as it expects them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pipeline.demo.findings import AWARDED, REVOKED, Findings
from pipeline.demo.scenario import FEWEST_LEARNERS, Badges, Expectation, Scenario, build

BADGES = Badges.load()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def scenario(seed: int = 7, learners: int = FEWEST_LEARNERS) -> Scenario:
    return build(learners, seed, BADGES, NOW)


def findings_as_expected(expectation: Expectation) -> Findings:
    ledger: list[dict[str, Any]] = []
    signals: list[dict[str, Any]] = []
    for (learner, template), outcome in expectation.badges.items():
        first, last = expectation.names[learner]
        for state in ["pending"] * outcome.live + ["revoked"] * outcome.revoked:
            badge = {"learner": learner, "template": template, "badge": str(uuid4())}
            ledger.append(
                {
                    "issuer_earner_id": str(learner),
                    "template": template,
                    "state": state,
                    "issued_to_first_name": first,
                    "issued_to_last_name": last,
                }
            )
            told = [AWARDED, REVOKED] if state == "revoked" else [AWARDED]
            signals += [{**badge, "type": event_type, "id": str(uuid4())} for event_type in told]
    status = {
        "events": {
            "received": 0,
            "processed": expectation.processed,
            "failed": expectation.failed,
            "ignored": expectation.ignored + expectation.signals,
        },
        "credly": {"pending": 0, "failed": expectation.refused},
        "signals": {"pending": 0, "failed": 0, "sent": expectation.signals},
        "idle": True,
    }
    refused = [{"uuid": str(uuid4()), "credly": {"state": "failed", "error": "The learner's e-mail is no address."}}]
    return Findings(status=status, ledger=ledger, signals=signals, failures={}, refused=refused)
