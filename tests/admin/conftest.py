"""Staff of three kinds, logged in, and the Credly that the admin calls."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from tests.credly.emulated_credly import EmulatedCredly
from tests.staff import client_of
from tests.stages.conftest import Site, call_credly_at, make_site


@pytest.fixture(autouse=True)
def _counted_anew() -> None:
    """The pages remember their counts for some seconds: not those of the test before."""
    cache.clear()


@pytest.fixture
def administrator(db: None) -> Client:
    return client_of("root", is_superuser=True)


@pytest.fixture
def operator(db: None) -> Client:
    """One of the group *Badge operators*."""
    return client_of("operator")


@pytest.fixture
def viewer(db: None) -> Client:
    """One of the group *Badge viewers*."""
    return client_of("viewer")


@pytest.fixture
def credly(emulator: EmulatedCredly, settings: Any) -> EmulatedCredly:
    """The emulator, and the pipeline pointed at it."""
    call_credly_at(f"{emulator.api}/", settings)
    return emulator


@pytest.fixture
def site(db: None, credly: EmulatedCredly) -> Site:
    return make_site(credly)
