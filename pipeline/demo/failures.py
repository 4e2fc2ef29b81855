"""Credly failing on the way: how often, and with what; few enough that everything heals within seconds."""

import random
from typing import Any

from pipeline.embedded.system import System

ISSUE_CALLS = {"method": "POST", "path": "badges$"}
REVOKE_CALLS = {"method": "PUT", "path": "revoke$"}

WHILE_ISSUING: tuple[dict[str, Any], ...] = (
    {"preset": "500"},
    {"preset": "502-html"},
    {"preset": "429", "retry_after": 1},
    {"preset": "timeout-after-success", "delay": 1},
    {"preset": "reset-after-success"},
    {"preset": "truncated-json"},
)
WHILE_REVOKING: tuple[dict[str, Any], ...] = ({"preset": "429", "retry_after": 1},)

CHANCE = 0.3
LEARNERS_PER_FAILURE = 50
"""A fault strikes once per so many learners, and at least once."""


def inject(system: System, phase: int, learners: int, seed: int) -> None:
    """Put the faults of a phase in force (there are none in the last), in an order that the seed decides."""
    kinds, calls = ((WHILE_ISSUING, ISSUE_CALLS), (WHILE_REVOKING, REVOKE_CALLS), ((), {}))[phase]
    times = max(1, learners // LEARNERS_PER_FAILURE)
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    for kind in chance.sample(kinds, len(kinds)):
        fault = {**kind, "match": calls, "times": times, "probability": CHANCE, "seed": chance.randrange(2**31)}
        system.credly("POST", "faults", fault)
