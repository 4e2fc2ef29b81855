"""The comparison finds nothing where all is as expected, and every single thing that is not."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any
from uuid import uuid4

import pytest

from pipeline.demo.comparison import differences
from pipeline.demo.findings import AWARDED, REVOKED, Findings, without_repeats
from tests.demo.examples import BADGES, findings_as_expected, scenario

EXPECTATION = scenario().expectation


def test_findings_as_expected_have_no_difference() -> None:
    assert differences(EXPECTATION, findings_as_expected(EXPECTATION), BADGES) == []


def _second_live_badge(findings: Any) -> None:
    findings.ledger.append(dict(next(row for row in findings.ledger if row["state"] == "pending")))


def _missing_badge(findings: Any) -> None:
    findings.ledger.remove(next(row for row in findings.ledger if row["state"] == "pending"))


def _badge_not_revoked(findings: Any) -> None:
    next(row for row in findings.ledger if row["state"] == "revoked")["state"] = "pending"


def _badge_of_a_stranger(findings: Any) -> None:
    findings.ledger.append({**findings.ledger[0], "issuer_earner_id": "999999"})


def _wrong_name(findings: Any) -> None:
    findings.ledger[0]["issued_to_last_name"] = "Nobody"


def _missing_signal(findings: Any) -> None:
    findings.signals.pop()


def _signal_told_twice_with_two_ids(findings: Any) -> None:
    findings.signals.append({**findings.signals[0], "id": str(uuid4())})


def _signal_of_a_badge_never_held(findings: Any) -> None:
    findings.signals.append({**findings.signals[0], "id": str(uuid4()), "badge": str(uuid4()), "learner": 999999})


def _revoked_before_awarded(findings: Any) -> None:
    revoked = next(signal for signal in findings.signals if signal["type"] == REVOKED)
    awarded = next(s for s in findings.signals if (s["badge"], s["type"]) == (revoked["badge"], AWARDED))
    findings.signals.remove(revoked)
    findings.signals.insert(findings.signals.index(awarded), revoked)


def _event_lost(findings: Any) -> None:
    findings.status["events"]["processed"] -= 1


def _event_waiting(findings: Any) -> None:
    findings.status["idle"] = False


def _no_refusal(findings: Any) -> None:
    findings.refused.clear()


def _refusal_without_a_reason(findings: Any) -> None:
    findings.refused[0]["credly"]["error"] = None


@pytest.mark.parametrize(
    "spoil",
    [
        _second_live_badge,
        _missing_badge,
        _badge_not_revoked,
        _badge_of_a_stranger,
        _wrong_name,
        _missing_signal,
        _signal_told_twice_with_two_ids,
        _signal_of_a_badge_never_held,
        _revoked_before_awarded,
        _event_lost,
        _event_waiting,
        _no_refusal,
        _refusal_without_a_reason,
    ],
)
def test_a_difference_is_found(spoil: Callable[[Findings], None]) -> None:
    findings = deepcopy(findings_as_expected(EXPECTATION))
    spoil(findings)
    assert differences(EXPECTATION, findings, BADGES)


def test_a_repeated_delivery_of_a_signal_is_no_difference() -> None:
    signals = [{"id": "a", "n": 1}, {"id": "b", "n": 2}, {"id": "a", "n": 3}]
    assert without_repeats(signals) == signals[:2]
