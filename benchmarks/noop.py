"""The way of an event with nothing on it: a Celery app with the pipeline's settings, queues and hand-overs, and empty tasks.

`celery -A benchmarks.noop` takes the place of `celery -A pipeline`.  What it needs is Celery's own.
"""

import time
from functools import cache
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from redis import Redis

ARRIVED = "arrived"
"""Hash in the broker per stage, `arrived:<stage>`: when each number came there, in seconds since 1970."""

app = Celery("noop")
app.config_from_object("celeryconfig")
app.conf.imports = ()


@setup_logging.connect
def use_django_logging(**_: Any) -> None:
    """Keep Celery from setting up logging of its own."""


@cache
def broker() -> Redis:
    """A connection to the broker, one per process."""
    return Redis.from_url(settings.CELERY_BROKER_URL)


@app.task(name="evaluate")
def evaluate(number: int) -> None:
    """Nothing, and on."""
    hand_over("persist", number)


@app.task(name="persist")
def persist(number: int) -> None:
    """Nothing, and on."""
    hand_over("issue", number)


@app.task(name="issue")
def issue(number: int) -> None:
    """Note the time, as the call to Credly would, and on."""
    arrive("issue", number)
    hand_over("emit", number)


@app.task(name="emit")
def emit(number: int) -> None:
    """Note the time, as the signal would."""
    arrive("emit", number)


def arrive(stage: str, number: int) -> None:
    """Note that a number came to a stage."""
    broker().hset(f"{ARRIVED}:{stage}", str(number), str(time.time()))


def hand_over(stage: str, number: int) -> None:
    """Publish as `pipeline.nudges` does."""
    with app.producer_pool.acquire(block=True) as producer, producer.batch():
        app.send_task(stage, args=[number], producer=producer)
