"""`manage.py` with points, switchable protections and, if asked, shorter waits: `python -m tests.faults.manage`."""

import os
import sys

import django
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
    django.setup()

    from tests.faults import pace, points, protections

    pace.set_if_asked()
    protections.install()
    points.install()
    execute_from_command_line(sys.argv)
