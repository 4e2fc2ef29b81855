"""Seeds 5000 to 7499.  A file for each quarter: `--dist loadfile` gives a file to one process."""

import pytest

from tests.simulation.many import pieces, run


@pytest.mark.parametrize("seeds", pieces(5000, 7500), ids=str)
def test_the_promises_hold_whatever_goes_wrong(database, seeds):
    broken = run(seeds).broken
    assert not broken, "\n\n".join(broken)
