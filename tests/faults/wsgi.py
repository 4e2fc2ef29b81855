"""The WSGI application with points, switchable protections and, if asked, shorter waits: `gunicorn tests.faults.wsgi`."""

from pipeline.wsgi import application
from tests.faults import pace, points, protections

pace.set_if_asked()
protections.install()
points.install()

__all__ = ["application"]
