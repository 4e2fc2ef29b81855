"""Shorter waits, for tests whose subject is not how long recovery takes.  The proportions stay."""

import os
from datetime import timedelta
from importlib import import_module

from celery import Celery

VARIABLE = "FAULTS_PACE"
QUICK = "quick"

CLAIM_SECONDS = 5.0
"""How long a claim lasts at this pace: a process that is paused for longer finds that another has its work."""

_WAITS = {
    ("pipeline.ledgers.claims", "CLAIM_LASTS"): timedelta(seconds=CLAIM_SECONDS),
    ("pipeline.ledgers.claims", "NUDGE_AGAIN_AFTER"): timedelta(seconds=3.0),
    ("pipeline.ledgers.inbox", "EVALUATED_WITHIN"): timedelta(seconds=3.0),
    ("pipeline.stages.issue", "LATE_EFFECT"): timedelta(seconds=1.5),
    ("pipeline.ledgers.holdings", "SURELY_EFFECTIVE"): timedelta(seconds=4.0),
    ("pipeline.stages.issue", "EARLIER_CYCLE_WAIT"): timedelta(seconds=1.0),
    ("pipeline.stages.issue", "SHOWN_WITHIN"): timedelta(seconds=2.0),
    ("pipeline.ledgers.claims", "FIRST_WAIT"): 0.5,
    ("pipeline.bus.streams", "CLAIM_INTERVAL_SECONDS"): 1.0,
    ("pipeline.stages.consume", "CLAIM_IDLE_MS"): 3_000,
}


def set_if_asked() -> None:
    """Shorten the waits of this process if its environment says so."""
    if os.environ.get(VARIABLE) == QUICK:
        for (module, name), value in _WAITS.items():
            changed = import_module(module)
            getattr(changed, name)  # raises should it have another name by now
            setattr(changed, name, value)


def set_schedule_if_asked(app: Celery) -> None:
    """The same for the broker and beat."""
    if os.environ.get(VARIABLE) == QUICK:
        app.conf.beat_schedule["housekeeping"]["schedule"] = 1.0
        app.conf.broker_transport_options |= {"visibility_timeout": 6, "unacked_restore_interval": 1}
