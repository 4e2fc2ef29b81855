"""All Celery settings: delivery safety, limits, queues, schedule.

Messages are nudges and the database is the ledger, so nothing here guards data; it decides how soon lost work goes on.
Times are in seconds.  Figures that others rely on are tied together in `docs/decisions/0003-delivery.md`.
"""

import os

from celery.schedules import crontab
from django.conf import settings

from pipeline import brokers

# --- broker -----------------------------------------------------------------------------------------------------------
_broker = brokers.read(settings.CELERY_BROKER_URL)
broker_url = _broker.url
if os.environ.get("CELERY_BROKER_URL", broker_url) != broker_url:
    # Celery prefers that variable to its own settings, and these two to that; a setting of theirs would show the password.
    os.environ["CELERY_BROKER_READ_URL"] = os.environ["CELERY_BROKER_WRITE_URL"] = broker_url
broker_use_ssl = _broker.ssl
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a broker that is away for a day is no reason to end
broker_channel_error_retry = True  # nor is one that is full
broker_transport_options = _broker.options
broker_heartbeat = 30  # of RabbitMQ: one that is cut off is noticed after a minute; Redis has its own checks
# One quick retry: the caller has the work in the database and must not wait for a broker.
task_publish_retry = True
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0, "interval_max": 0.1}

# --- delivery safety --------------------------------------------------------------------------------------------------
task_acks_late = True  # a worker that dies gives its messages back
task_reject_on_worker_lost = True
task_retry_on_worker_lost = True  # and, unlike the line above alone, not without end when the message is what kills
task_annotations = {"*": {"default_retry_delay": _broker.retry_delay}}
worker_cancel_long_running_tasks_on_connection_loss = False  # finishing beats doing again, and doing twice is harmless
result_backend = None  # nobody waits for a result, and results would hold data
task_ignore_result = True
task_store_errors_even_if_ignored = False
task_serializer = "json"
accept_content = ["json"]

# --- limits -----------------------------------------------------------------------------------------------------------
task_time_limit = (
    30  # a batch of 500 events takes under a second; no soft limit, which would look like the row's own fault
)
worker_prefetch_multiplier = 4  # tasks of milliseconds; the credly process is told 1, its tasks wait for a network
worker_max_tasks_per_child = 50_000
worker_soft_shutdown_timeout = 6  # with REMAP_SIGTERM=SIGQUIT: finish what is quick, hand the rest back, be gone in 10
worker_enable_remote_control = True
# Celery closes the database's connection before and after every task, which costs more than many a task.  Ours stay open;
# `pipeline.celery` closes before a task what is too old or broken.  This is the one setting of Celery's in capitals.
CELERY_DB_REUSE_MAX = 10**9

# --- what can be watched ----------------------------------------------------------------------------------------------
worker_send_task_events = True
task_track_started = False
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# --- queues -----------------------------------------------------------------------------------------------------------
imports = (
    "tasks.evaluate",
    "tasks.persist",
    "tasks.issue",
    "tasks.emit",
    "tasks.housekeeping",
    "tasks.recheck",
    "tasks.webhook",
    "tasks.sync",
    "tasks.reconcile",
    "tasks.purge",
    "tasks.backfill",
)
task_create_missing_queues = True
task_default_queue = "housekeeping"
task_routes = {
    "evaluate": {"queue": "evaluate"},
    "persist": {"queue": "persist"},
    "issue": {"queue": "issue"},
    "emit": {"queue": "emit"},
    "housekeeping": {"queue": "housekeeping"},
    "recheck": {"queue": "recheck"},
    "webhook": {"queue": "webhook"},
    "sync": {"queue": "sync"},
    "sync_all": {"queue": "housekeeping"},
    "reconcile": {"queue": "sync"},
    "reconcile_all": {"queue": "housekeeping"},
    "purge": {"queue": "housekeeping"},
    "backfill": {"queue": "housekeeping"},
}
task_queues = _broker.queues(sorted({route["queue"] for route in task_routes.values()}))

# --- schedule ---------------------------------------------------------------------------------------------------------
beat_scheduler = "tasks.beat:SteadyScheduler"  # in memory: nothing is lost by a restart, and no file is needed
beat_schedule = {
    # Repeats are harmless; after a pause a dozen are enough.  Expiry compares the clocks of two hosts, hence a minute.
    "housekeeping": {"task": "housekeeping", "schedule": 5.0, "options": {"expires": 60}},
    # Off the full hour, when everybody calls Credly.
    "sync": {"task": "sync_all", "schedule": crontab(minute="17", hour="*/6")},
    "reconcile": {"task": "reconcile_all", "schedule": crontab(minute="23", hour="2")},
    "purge": {"task": "purge", "schedule": crontab(minute="41", hour="3")},
}
