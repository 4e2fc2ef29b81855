"""The command `reencrypt_keys`."""

import sys
from typing import Any

from pipeline.configuration.reencryption import reencrypt
from pipeline.management.command import DatabaseCommand


class Command(DatabaseCommand):
    """Encrypt the stored API keys with the present SECRET_KEY and SALT_KEY."""

    help = (
        "Encrypt the stored API keys with the present SECRET_KEY and SALT_KEY, so that their fallbacks can go. "
        "May be run again. Exit status 1 when a stored key can't be decrypted. Example: ./manage.py reencrypt_keys"
    )

    def handle(self, **_: Any) -> None:
        """Encrypt, and print how many and which not."""
        done = reencrypt()
        self.stdout.write(f"Encrypted anew: {done.count}.")
        for organization in done.unreadable:
            self.stderr.write(
                f"{organization} ({organization.uuid}): its stored key can't be decrypted; enter it again, or put the "
                "SECRET_KEY or SALT_KEY it was stored with into SECRET_KEY_FALLBACKS or SALT_KEY_FALLBACKS."
            )
        if done.unreadable:
            sys.exit(1)
