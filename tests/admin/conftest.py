"""Staff of three kinds, logged in, and the Credly that the admin calls."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client

from tests.credly.emulated_credly import EmulatedCredly
from tests.stages.conftest import Site, call_credly_at, make_site


def client_of(name: str, **fields: Any) -> Client:
    """A browser in which a member of staff is logged in."""
    user = User.objects.create_user(name, f"{name}@staff.example", is_staff=True, **fields)
    if group := Group.objects.filter(name=f"Badge {name}s").first():
        user.groups.add(group)
    client = Client()
    client.force_login(user)
    return client


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
