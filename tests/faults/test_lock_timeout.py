"""What a test takes for a lock that was waited for in vain is nothing else."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import connect
from tests.faults.databases import SERVER


def test_only_who_has_waited_for_a_lock_for_too_long_has_a_lock_timeout(tmp_path: Path):
    database = SERVER(tmp_path)
    with database.server as server:
        with closing(connect(server)) as owner:
            owner.cursor().execute("CREATE TABLE pipeline_event (id int)")
        with database.locked(database.lock("event")), pytest.raises(database.LockTimeout):
            database.query("SELECT id FROM pipeline_event")
        with pytest.raises(Exception, match="nothing") as raised:
            database.query("SELECT nothing FROM pipeline_event")
        assert not isinstance(raised.value, database.LockTimeout)
