"""Gunicorn's configuration: its lines go the way of all others.  What the Procfile says comes first.

But no line per request: its path may hold the webhook's secret, and its query what an operator searched for.
"""

import logging

from pipeline.settings import LOGGING

_level = max(logging.getLevelNamesMapping()[LOGGING["root"]["level"]], logging.INFO)  # at DEBUG it tells every path

logconfig_dict = {
    **LOGGING,
    "loggers": {
        **LOGGING["loggers"],
        "gunicorn.error": {"level": _level, "handlers": [], "propagate": True},
        "gunicorn.access": {"level": logging.CRITICAL, "handlers": [], "propagate": False},
    },
}
