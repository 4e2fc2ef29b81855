#!/usr/bin/env python
"""Django's command-line utility for this project."""

import os
import secrets
import sys

NEEDS_NO_CONFIGURATION = ("demo", "credly_emulator")


def main() -> None:
    """Run a management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pipeline.settings")
    if sys.argv[1:2] and sys.argv[1] in NEEDS_NO_CONFIGURATION:
        os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe())
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
