"""Flower's configuration: read-only, behind a login, its memory bounded.  Flower reads its port from `FLOWER_PORT` itself.

What stands here comes before Flower's own variables (`FLOWER_READ_ONLY` and the like); only the command line comes before it.
"""

import os
import sys
from typing import Any

from django.conf import settings
from flower.views.monitor import Metrics
from tornado.web import authenticated

LOGIN = "FLOWER_BASIC_AUTH"
PROVIDER = "FLOWER_AUTH_PROVIDER"
ADMITTED = "FLOWER_AUTH"
LONGEST_ARGUMENTS = 120

if not os.environ.get(LOGIN) and not os.environ.get(PROVIDER):
    sys.exit(
        f"Flower does not start without a login: set {LOGIN}=user:password, or {PROVIDER} and the rest of Flower's OAuth "
        "settings (https://flower.readthedocs.io/en/latest/auth.html)."
    )
if os.environ.get(PROVIDER) and not os.environ.get(ADMITTED):
    # Flower itself would let in everybody, without any login.
    sys.exit(f"{PROVIDER} is set and {ADMITTED} is not: set {ADMITTED} to the e-mail addresses that may log in.")

_login = os.environ.get(LOGIN)
if _login and not all(_login.partition(":")):
    sys.exit(f"{LOGIN}: (not shown) is not allowed; it must be user:password")

basic_auth = [_login] if _login else None
read_only = True
enable_events = False  # workers send them anyway; else Flower would tell each of them to every five seconds
max_tasks = 5_000  # in memory; the default of 100,000 grows to gigabytes
max_workers = 500
purge_offline_workers = 3_600  # seconds; platforms give each new process another name
persistent = False
tasks_columns = "name,args,state,received,runtime,worker,uuid"
logging = settings.LOG_LEVEL.lower()  # Flower sets the root's level from its own option

# Flower answers strangers here with the names of workers and tasks.
Metrics.get = authenticated(Metrics.get)


def format_task(task: Any) -> Any:
    """What the pages show of a task: of the many ids of a batch only the first."""
    if task.args and len(task.args) > LONGEST_ARGUMENTS:
        task.args = f"{task.args[:LONGEST_ARGUMENTS]} ..."
    return task
