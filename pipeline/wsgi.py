"""The WSGI application, served by gunicorn in the `web` process."""

import os

from django.core.wsgi import get_wsgi_application

from pipeline import redis_servers, telemetry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")

telemetry.start()
application = get_wsgi_application()
redis_servers.warn()
