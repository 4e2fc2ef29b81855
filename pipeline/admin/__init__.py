"""The admin site."""

from pipeline.admin import configuration, ledgers  # noqa: F401 - importing registers
