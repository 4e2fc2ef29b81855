"""Shorter waits, for tests whose subject is not how long recovery takes.  The proportions stay."""

import os
from datetime import timedelta
from functools import partial
from importlib import import_module

from celery import Celery

from pipeline.credly.client import CredlyClient, Limits

VARIABLE = "FAULTS_PACE"
QUICK = "quick"
IMPATIENT = "quick, and Credly must answer quickly too"
"""For tests of answers that are slow or never come."""
SMALL_BATCHES = "quick, and a read brings few messages"
DRIVEN = "waits as in production, and the test drives the clock"
"""Housekeeping comes as often as the clock jumps."""

CLAIM_SECONDS = 5.0
"""How long a claim lasts at this pace: a process that is paused for longer finds that another has its work."""

FEW_MESSAGES = 3
"""That a read brings, with small batches."""

_WAITS = {
    ("pipeline.ledgers.claims", "CLAIM_LASTS"): timedelta(seconds=CLAIM_SECONDS),
    ("pipeline.ledgers.claims", "NUDGE_AGAIN_AFTER"): timedelta(seconds=3.0),
    ("pipeline.ledgers.inbox", "EVALUATED_WITHIN"): timedelta(seconds=3.0),
    ("pipeline.stages.issue", "LATE_EFFECT"): timedelta(seconds=1.5),
    ("pipeline.ledgers.holdings", "SURELY_EFFECTIVE"): timedelta(seconds=4.0),
    ("pipeline.stages.issue", "EARLIER_CYCLE_WAIT"): timedelta(seconds=1.0),
    ("pipeline.stages.issue", "SHOWN_WITHIN"): timedelta(seconds=2.0),
    ("pipeline.stages.observe", "SHOWN_WITHIN"): timedelta(seconds=2.0),
    ("pipeline.stages.webhook", "SHOWN_WITHIN"): timedelta(seconds=2.0),
    ("pipeline.stages.recheck", "SHOWN_WITHIN"): timedelta(seconds=2.0),
    ("pipeline.stages.recheck", "LOOKED_UP_WITHIN"): timedelta(seconds=10.0),
    ("pipeline.ledgers.claims", "FIRST_WAIT"): 0.5,
    ("pipeline.ledgers.claims", "LONGEST_WAIT"): 8.0,
    ("pipeline.configuration.gate", "PROBE_LASTS"): timedelta(seconds=CLAIM_SECONDS),
    ("pipeline.configuration.gate", "FIRST_PROBE_WAIT"): timedelta(seconds=0.5),
    ("pipeline.configuration.gate", "LONGEST_PROBE_WAIT"): timedelta(seconds=3.0),
    ("pipeline.configuration.gate", "FIRST_THROTTLE"): timedelta(seconds=1.5),
    ("pipeline.configuration.gate", "LONGEST_THROTTLE"): timedelta(seconds=30.0),
    ("pipeline.bus.streams", "CLAIM_INTERVAL_SECONDS"): 1.0,
    ("pipeline.stages.consume", "CLAIM_IDLE_MS"): 3_000,
    ("pipeline.ledgers.gaps", "ONE_LOSS"): timedelta(seconds=5.0),
}

_CALLS = {
    # An eighth of the usual, as a claim is: no call may outlast the claim under which it is made.
    ("pipeline.configuration.organizations", "CredlyClient"): partial(
        CredlyClient, limits=Limits(connect=0.4, read=1.25, deadline=2.5)
    ),
}

_BATCHES = {("pipeline.stages.consume", "BATCH"): FEW_MESSAGES}

_QUICK: dict[str, dict[tuple[str, str], object]] = {
    QUICK: _WAITS,
    IMPATIENT: _WAITS | _CALLS,
    SMALL_BATCHES: _WAITS | _BATCHES,
}


def set_if_asked() -> None:
    """Shorten the waits of this process if its environment says so."""
    for (module, name), value in _QUICK.get(_asked(), {}).items():
        changed = import_module(module)
        getattr(changed, name)  # raises should it have another name by now
        setattr(changed, name, value)


def set_schedule_if_asked(app: Celery) -> None:
    """The same for the broker and beat."""
    if _asked() in _QUICK:
        app.conf.beat_schedule["housekeeping"]["schedule"] = 1.0
        app.conf.broker_transport_options |= {"visibility_timeout": 6, "unacked_restore_interval": 1}
    if _asked() == DRIVEN:
        app.conf.beat_schedule["housekeeping"]["schedule"] = 0.2


def _asked() -> str:
    return os.environ.get(VARIABLE, "")
