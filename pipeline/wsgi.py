"""The WSGI application, served by gunicorn in the `web` process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")

application = get_wsgi_application()
