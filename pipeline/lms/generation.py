"""Many made-up learner events, for trials and load."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import NAMESPACE_URL, uuid5

from pipeline.lms.events import LmsEvent, LmsLearner, passing_event


def made_up_learner(id: int) -> LmsLearner:
    """The learner with this LMS user id: always the same one, with an address where nobody lives."""
    return LmsLearner(id, f"learner{id}", f"learner{id}@example.org", f"Learner {id}")


@dataclass(frozen=True)
class Generation:
    """One event for each learner, course and outcome, each ``repeat`` times with one id, in shuffled order.

    ``outcomes`` tells whether a learner passes; a later outcome has a later time. The same ``seed`` gives the same
    order and the same event ids, so that playing it again repeats the same events.
    """

    learners: int
    courses: Sequence[str]
    outcomes: Sequence[bool]
    seed: int
    start_id: int = 1
    repeat: int = 1

    def __len__(self) -> int:
        return self.learners * len(self.courses) * len(self.outcomes) * self.repeat

    def __iter__(self) -> Iterator[LmsEvent]:
        started = datetime.now(UTC)
        learner_ids = range(self.start_id, self.start_id + self.learners)
        order = list(product(learner_ids, self.courses, range(len(self.outcomes)))) * self.repeat
        random.Random(self.seed).shuffle(order)  # noqa: S311 - to be reproduced, not to be secret
        for learner_id, course, turn in order:
            passing = self.outcomes[turn]
            yield passing_event(
                made_up_learner(learner_id),
                course,
                passing,
                started + timedelta(milliseconds=turn),
                uuid5(NAMESPACE_URL, f"produce_events/{self.seed}/{learner_id}/{course}/{passing}"),
            )
