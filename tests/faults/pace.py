"""Shorter waits, for tests whose subject is not how long recovery takes.  The proportions stay."""

import os
from datetime import timedelta
from importlib import import_module

from celery import Celery

VARIABLE = "FAULTS_PACE"
QUICK = "quick"

CLAIM_SECONDS = 5.0
"""How long a claim lasts at this pace: a process that is paused for longer finds that another has its work."""

_SECONDS = {
    ("pipeline.ledgers.claims", "CLAIM_LASTS"): CLAIM_SECONDS,
    ("pipeline.ledgers.claims", "NUDGE_AGAIN_AFTER"): 3.0,
    ("pipeline.ledgers.inbox", "EVALUATED_WITHIN"): 3.0,
    ("pipeline.stages.issue", "LATE_EFFECT"): 1.5,
    ("pipeline.stages.issue", "SURELY_EFFECTIVE"): 4.0,
    ("pipeline.stages.issue", "EARLIER_CYCLE_WAIT"): 1.0,
    ("pipeline.stages.issue", "SHOWN_WITHIN"): 2.0,
}


def set_if_asked() -> None:
    """Shorten the waits of this process if its environment says so."""
    if os.environ.get(VARIABLE) == QUICK:
        for (module, name), seconds in _SECONDS.items():
            setattr(import_module(module), name, timedelta(seconds=seconds))
        import_module("pipeline.ledgers.claims").FIRST_WAIT = 0.5
        import_module("pipeline.bus.streams").CLAIM_INTERVAL_SECONDS = 1.0
        import_module("pipeline.stages.consume").CLAIM_IDLE_MS = 3_000


def set_schedule_if_asked(app: Celery) -> None:
    """The same for the broker and beat."""
    if os.environ.get(VARIABLE) == QUICK:
        app.conf.beat_schedule["housekeeping"]["schedule"] = 1.0
        app.conf.broker_transport_options |= {"visibility_timeout": 6, "unacked_restore_interval": 1}
