"""beat when the wall clock is set back."""

from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from celery.beat import ScheduleEntry, Scheduler

from tasks.beat import SteadyScheduler

INTERVAL = timedelta(seconds=10)
DAY = timedelta(days=1)


class App(Celery):
    """Its clock can be set."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        time: datetime = super().now() + self.ahead
        return time


def sent(scheduler: type[Scheduler], *moves: timedelta) -> int:
    """How often a task of that interval is sent while the clock makes these moves."""
    app = App(set_as_current=False, broker="memory://")
    app.conf.beat_schedule = {"often": {"task": "often", "schedule": INTERVAL}}
    names: list[str] = []

    class Counting(scheduler):  # type: ignore[misc, valid-type]
        def apply_async(self, entry: ScheduleEntry, **_: Any) -> None:
            names.append(entry.name)

    beat = Counting(app=app)
    for move in (timedelta(0), *moves):
        app.ahead += move
        for _ in range(3):
            beat.tick()
    return names.count("often")


def test_set_back_by_a_day_it_goes_on_after_one_interval():
    assert sent(SteadyScheduler, INTERVAL, -DAY, INTERVAL) == 2


def test_set_back_by_a_day_it_sends_nothing_before_its_time():
    assert sent(SteadyScheduler, INTERVAL, -DAY, INTERVAL / 2) == 1


def test_celerys_own_would_stand_still():
    """The control."""
    assert sent(Scheduler, INTERVAL, -DAY, INTERVAL) == 1


def test_set_forward_by_a_day_it_sends_once():
    assert sent(SteadyScheduler, INTERVAL, DAY) == 2
