"""What commands that send work need."""

from tests.management.conftest import broker

__all__ = ["broker"]
