"""A little of the long run: processes killed, stopped and paused at random while events come in."""

from tests.faults.cluster import LARGE
from tests.faults.selection import SEED
from tests.faults.storm import Storm

NUMBERS = LARGE


def test_nothing_is_lost_doubled_or_false_after_random_kills(cluster):
    storm = Storm(cluster, SEED)
    found = storm.round(kills=12, learners=12)
    assert found == [], f"again: FAULTS_SEED={SEED}, logs in {cluster.folder}"
    assert storm.tally.kills >= 12
