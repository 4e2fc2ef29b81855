from collections.abc import Iterator

import pytest

from pipeline.embedded.system import System
from tests.databases import server_of_run
from tests.system.academy import Academy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/system/" in str(item.path):
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    with System(folder, database=server_of_run(folder / "database")) as running:
        yield running


@pytest.fixture
def academy(system: System) -> Academy:
    return Academy(system)
