"""What an operator sees of `redrive`."""

import pytest

from pipeline.ledgers import inbox
from tests.ledgers.builders import lms_learner, passes, received
from tests.management.commands import run

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]


@pytest.mark.parametrize(("number", "told"), [(0, "0 failed events"), (1, "1 failed event"), (2, "2 failed events")])
def test_what_is_put_back_is_counted_in_good_english(capsys: pytest.CaptureFixture[str], number: int, told: str):
    for event in received(*(passes(lms_learner(), minute) for minute in range(number))):
        inbox.refuse(event, "No reason.")
    ran = run(capsys, "redrive", "events")
    assert (ran.status, ran.out) == (0, f"{told} put back\n")
