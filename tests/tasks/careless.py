"""A worker with one protection off, which the variable `WITHOUT` names.

Workers get it by `-I tests.tasks.careless`, after the tasks that it is about.
"""

import os

from pipeline import celery

match os.environ["WITHOUT"]:
    case "leaving in time":
        celery.LEAVE_SECONDS = 600
    case "an end of tries":
        for task in celery.app.tasks.values():
            task.retry_on_worker_lost = False
