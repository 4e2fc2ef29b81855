from collections.abc import Iterator

import pytest

from tests.faults.cluster import SMALL, Cluster
from tests.faults.selection import SEED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/faults/" in str(item.path):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests of a module, with as many of each process as its `NUMBERS` say."""
    numbers = getattr(request.module, "NUMBERS", SMALL)
    with Cluster(tmp_path_factory.mktemp("cluster"), numbers=numbers, seed=SEED) as running:
        yield running
