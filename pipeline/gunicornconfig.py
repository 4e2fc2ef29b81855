"""Gunicorn's configuration: its lines go the way of all others.  What the Procfile says comes first."""

from pipeline.settings import LOGGING

_handed_up = {"level": LOGGING["root"]["level"], "handlers": [], "propagate": True}

logconfig_dict = {
    **LOGGING,
    "loggers": {**LOGGING["loggers"], "gunicorn.error": _handed_up, "gunicorn.access": _handed_up},
}
