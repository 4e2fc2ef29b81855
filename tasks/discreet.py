"""What a task's error tells to whoever watches."""

from typing import Any

from celery import Task
from django.conf import settings


class DiscreetTask(Task):
    """A task whose error is its kind and place alone, unless the site is debugged.

    Celery sends the text of each error over the broker, to Flower and any other listener; a database's may quote a row.
    """

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Run it.

        Raises:
            Exception: of the kind that was raised, as `wordless` makes it.
        """
        try:
            return self.run(*arguments, **named)
        except Exception as error:
            if settings.DEBUG:
                raise
            told = wordless(error)
            raise told from told.__cause__


def wordless(error: BaseException) -> BaseException:
    """A copy of an error, with its traceback and what led to it, and without the texts of either."""
    told = error.__new__(type(error)).with_traceback(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    told.__cause__ = wordless(cause) if cause else None
    return told
