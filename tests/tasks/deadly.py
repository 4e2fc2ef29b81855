"""For tests: whatever is about the learner `DEADLY_LEARNER` kills the process that works on it, at the place `DEADLY_PLACE`.

Workers get it by `-I tests.tasks.deadly`.  What they wait for after a death is shortened, so that a test need not.
"""

import os
import signal
import sys
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from pipeline import stages  # noqa: F401 - the stages' modules are hidden behind functions of the same names
from pipeline.ledgers import badges, claims, inbox

inbox.EVALUATED_WITHIN = timedelta(seconds=2)
claims.CLAIM_LASTS = timedelta(seconds=3)
claims.NUDGE_AGAIN_AFTER = timedelta(seconds=2)

evaluate, issue = (sys.modules[f"pipeline.stages.{name}"] for name in ("evaluate", "issue"))
LEARNER = int(os.environ["DEADLY_LEARNER"])


def deadly(work: Callable[..., Any], about: Callable[..., Collection[int]]) -> Callable[..., Any]:
    """The same work, which kills its process when it is about that learner."""

    def work_or_die(*args: Any, **kwargs: Any) -> Any:
        if LEARNER in about(*args):
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*args, **kwargs)

    return work_or_die


match os.environ["DEADLY_PLACE"]:
    case "evaluate":
        evaluate.check = deadly(evaluate.check, lambda event, _: [event.payload["user"]["id"]])
    case "persist":
        badges.follow = deadly(badges.follow, lambda changes: [change.learner.lms_user_id for change in changes])
    case "issue":
        issue._take_step = deadly(issue._take_step, lambda _, claim: [claim.badge.learner.lms_user_id])
