"""The management command ``credly_emulator``."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pipeline.credly.emulator import __main__ as emulator


class Command(BaseCommand):
    """Run the Credly emulator; it needs neither database nor broker."""

    help = emulator.DESCRIPTION
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the same arguments as ``python -m pipeline.credly.emulator``."""
        emulator.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        if error := emulator.run_with(options):
            raise CommandError(error)
