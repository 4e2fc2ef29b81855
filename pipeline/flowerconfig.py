"""Flower's configuration: read-only, behind a login, its memory bounded.  Flower reads its port from `FLOWER_PORT` itself."""

import os
import sys

LOGIN = "FLOWER_BASIC_AUTH"
PROVIDER = "FLOWER_AUTH_PROVIDER"

if not os.environ.get(LOGIN) and not os.environ.get(PROVIDER):
    sys.exit(
        f"Flower does not start without a login: set {LOGIN}=user:password, or {PROVIDER} and the rest of Flower's OAuth "
        "settings (https://flower.readthedocs.io/en/latest/auth.html)."
    )

_login = os.environ.get(LOGIN)
if _login and not all(_login.partition(":")):
    sys.exit(f"{LOGIN}: (not shown) is not allowed; it must be user:password")

basic_auth = [_login] if _login else None
read_only = True
max_tasks = 5_000  # in memory; the default of 100,000 grows to gigabytes
max_workers = 500
persistent = False
