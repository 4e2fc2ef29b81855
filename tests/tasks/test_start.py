"""What stops a worker or beat from starting."""

import pytest

from tests.tasks.conftest import Start


@pytest.mark.parametrize("process", ["worker", "credly", "beat"])
def test_nothing_starts_while_badges_are_switched_off(start: Start, process: str):
    started = start(process, BADGES_ENABLED="false")
    assert started.wait(30) == 1
    said = started.output()
    assert "Badges are switched off" in said
    assert "BADGES_ENABLED=true" in said
    assert "Traceback" not in said
