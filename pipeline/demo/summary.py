"""The table at the end: what was expected and what was found."""

from pipeline.demo.findings import AWARDED, REVOKED, Findings
from pipeline.demo.scenario import Expectation, Scenario
from pipeline.demo.screen import Row


def rows(expectation: Expectation, findings: Findings) -> list[Row]:
    """What is counted, expected and found."""
    events = findings.status["events"]
    return [
        ("Events that met a rule", expectation.processed, events["processed"]),
        ("Events that met none", expectation.ignored, events["ignored"] - findings.status["signals"]["sent"]),
        ("Messages that are no events", expectation.failed, events["failed"]),
        ("Badges issued at Credly", expectation.issued, findings.held()),
        ("Badges revoked at Credly", expectation.revoked, findings.held("revoked")),
        ("Badges refused, no address", expectation.refused, findings.status["credly"]["failed"]),
        ("Signals awarded at the LMS", expectation.issued, findings.told(AWARDED)),
        ("Signals revoked at the LMS", expectation.revoked, findings.told(REVOKED)),
    ]


def remarks(scenario: Scenario, findings: Findings, seconds: float) -> dict[str, str]:
    """What has no expected number."""
    return {
        "Events published, with repeats": str(scenario.published),
        "Failures of Credly on the way": str(sum(findings.failures.values())),
        "Time taken": f"{seconds:.0f} s",
    }


def failures(findings: Findings) -> str:
    """How often Credly failed, by kind."""
    kinds = ", ".join(f"{number} x {name}" for name, number in sorted(findings.failures.items()))
    return f"Credly's failures on the way: {kinds}."
