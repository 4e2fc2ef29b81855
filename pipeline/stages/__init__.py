"""The way of an event, one module per stage.  A stage takes ids, does its part in the database and returns the next ids.

`consume` is not imported here: the event bus loads it by the setting `EVENT_BUS_CONSUMER`.
"""

from pipeline.ledgers.backfills import Turn
from pipeline.stages.backfill import backfill
from pipeline.stages.emit import emit
from pipeline.stages.evaluate import evaluate
from pipeline.stages.housekeeping import Due, due
from pipeline.stages.issue import issue
from pipeline.stages.persist import persist
from pipeline.stages.purge import purge
from pipeline.stages.recheck import recheck
from pipeline.stages.reconcile import reconcile
from pipeline.stages.sync import note_key, organizations_to_sync, sync
from pipeline.stages.webhook import webhook

__all__ = [
    "Due",
    "Turn",
    "backfill",
    "due",
    "emit",
    "evaluate",
    "issue",
    "note_key",
    "organizations_to_sync",
    "persist",
    "purge",
    "recheck",
    "reconcile",
    "sync",
    "webhook",
]
