"""Beat's scheduler."""

from typing import Any

from celery.beat import Scheduler


class SteadyScheduler(Scheduler):
    """Celery's own, in memory, which goes on when the wall clock is set back.

    Celery's compares wall clock times: it would stand still until the time of its last run comes again.
    """

    def tick(self, *arguments: Any, **named: Any) -> float:
        """Send what is due; returns the seconds until the next look.

        A last run that lies in the future tells that the clock was set back: every interval begins anew.
        """
        if any(entry.last_run_at > entry.default_now() for entry in self.schedule.values()):
            for entry in self.schedule.values():
                entry.last_run_at = entry.default_now()
            self._heap = None
        seconds: float = super().tick(*arguments, **named)
        return seconds
