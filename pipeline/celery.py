"""The Celery app `pipeline`; every setting of it stands in the top-level `celeryconfig.py`."""

import os
import signal
from contextlib import suppress
from typing import Any, NoReturn

from celery import Celery
from celery.apps.worker import Worker
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.signals import (
    beat_init,
    celeryd_init,
    heartbeat_sent,
    setup_logging,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)
from celery.utils.threads import bound_open_broker_sockets
from celery.worker import state
from celery.worker.consumer import Consumer
from django.db import close_old_connections, connections
from kombu.transport import redis

from pipeline import measures, rabbitmq, redis_servers, task_logs, task_times, telemetry  # noqa: F401 - importing connects

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")

# What a channel of kombu's raises once its connection is gone, when a message is acknowledged, handed back or published
# over it.  It is no reason for a worker to end.
redis.Transport.connection_errors += (AttributeError,)

app = Celery("pipeline", task_cls="tasks.discreet:DiscreetTask")
app.config_from_object("celeryconfig")


LEAVE_SECONDS = 8
"""From the signal on; supervisors kill after ten."""


class LeavingWorker(Worker):
    """A worker that ends in time whatever its tasks wait for.

    Celery's own waits for its tasks without limit where they can't be interrupted: threads, and children inside a
    database driver.
    """

    def wait_for_soft_shutdown(self) -> None:
        """Let tasks end for `worker_soft_shutdown_timeout`; then hand back what is not acknowledged, and be gone.

        Celery calls it first of all, in the signal's handler.  What does not let go in `LEAVE_SECONDS`, such as a broker that
        does not answer, is left without a word; by an alarm, since a thread can't safely be started in such a handler.
        """
        signal.signal(signal.SIGALRM, lambda *_: self._be_gone())
        signal.alarm(LEAVE_SECONDS)
        busy = bool(state.active_requests)
        super().wait_for_soft_shutdown()
        if busy:
            self._kill_children()
            channel = self.consumer.task_consumer.channel
            if self.consumer.connection.transport.driver_type == "redis":  # RabbitMQ takes back by itself
                # Closing may wait for an answer that the interrupted loop has read already, hence the bound.
                bound_open_broker_sockets(self.consumer.connection, 1)
                with suppress(*self.consumer.connection.connection_errors):
                    channel.close()
                channel.qos.restore_unacked_once()
            measures.share()
            os._exit(os.EX_OK)

    def _be_gone(self) -> NoReturn:
        try:
            self._kill_children()
        finally:  # the pool may be half gone by now
            os._exit(os.EX_OK)

    def _kill_children(self) -> None:
        for child in self.pool.info.get("processes", []):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


app.Worker = app.subclass_with_self(LeavingWorker)


@task_prerun.connect
def check_connection(**_: Any) -> None:
    """Before a task, as Django before a request: close a database connection that is too old or broken."""
    close_old_connections()


@worker_process_shutdown.connect
def share_measures(**_: Any) -> None:
    """In a worker's child that ends, which is without the functions that `atexit` knows."""
    measures.share()


@heartbeat_sent.connect
def watch_the_clock(**_: Any) -> None:
    """Every few seconds, in a worker that has nothing to do as well: see whether the wall clock was set."""
    from pipeline.stages import clock_change

    try:
        clock_change.notice()
    finally:
        connections.close_all()  # children may be forked from this process


@setup_logging.connect
def use_django_logging(**_: Any) -> None:
    """Keep Celery from setting up logging of its own: Django's `LOGGING` serves every process."""


@celeryd_init.connect
@beat_init.connect
def refuse_while_switched_off(**_: Any) -> None:
    """Stop a worker or beat that starts while the feature switch is off."""
    from pipeline.switch import require_badges_enabled

    require_badges_enabled()


@celeryd_init.connect
@beat_init.connect
def look_at_redis(**_: Any) -> None:
    """Warn of servers that may lose what they are given."""
    redis_servers.warn()


@celeryd_init.connect
@beat_init.connect
def report_errors(**_: Any) -> None:
    """Report what goes wrong in a worker, the children that it forks, or beat."""
    telemetry.report_errors()


@worker_process_init.connect
@beat_init.connect
def trace(**_: Any) -> None:
    """Trace what is done in a worker's child, which is after the fork, or in beat."""
    telemetry.trace()


@worker_ready.connect
def trace_threads(sender: Consumer, **_: Any) -> None:
    """Trace in a worker that runs its tasks itself."""
    if isinstance(sender.pool, ThreadPool):
        telemetry.trace()
