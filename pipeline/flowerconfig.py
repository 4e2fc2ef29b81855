"""Flower's configuration: read-only, behind a login, its memory bounded."""

import os
import sys

LOGIN = "FLOWER_BASIC_AUTH"
PROVIDER = "FLOWER_AUTH_PROVIDER"

if not os.environ.get(LOGIN) and not os.environ.get(PROVIDER):
    sys.exit(
        f"Flower does not start without a login: set {LOGIN}=user:password, or {PROVIDER} and the rest of Flower's OAuth "
        "settings (https://flower.readthedocs.io/en/latest/auth.html)."
    )

basic_auth = [os.environ[LOGIN]] if os.environ.get(LOGIN) else None
port = int(os.environ.get("FLOWER_PORT") or 5555)
read_only = True
max_tasks = 5_000  # in memory; the default of 100,000 grows to gigabytes
max_workers = 500
persistent = False
