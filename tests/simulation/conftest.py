"""The database that the simulation has to itself."""

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.simulation import school


@pytest.fixture(scope="module")
def database(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Needs no database of pytest-django: it is made in memory, in a few milliseconds."""
    with django_db_blocker.unblock(), school.database():
        yield
