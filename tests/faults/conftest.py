from collections.abc import Iterator

import pytest

from tests.faults.cluster import SMALL, Cluster
from tests.faults.databases import OF_RUN
from tests.faults.selection import SEED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/faults/" in str(item.path):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests of a module, with as many of each process as its `NUMBERS` say, on its `DATABASE`.

    With `OWN_CLOCK` its processes go by a clock that a test can set.
    """
    numbers = getattr(request.module, "NUMBERS", SMALL)
    database = getattr(request.module, "DATABASE", OF_RUN)
    own_clock = getattr(request.module, "OWN_CLOCK", False)
    folder = tmp_path_factory.mktemp("cluster")
    with Cluster(folder, numbers=numbers, seed=SEED, database=database, own_clock=own_clock) as running:
        yield running
