from collections import Counter
from itertools import pairwise

from pipeline.lms.generation import Generation

COURSES = ["course-v1:A+B+C", "ccx-v1:A+B+C+ccx@1"]


def ids(**changes):
    parameters = {"learners": 20, "courses": COURSES, "outcomes": [True, False], "seed": 1}
    return [event.id for event in Generation(**(parameters | changes))]


def test_each_learner_gets_one_event_for_each_course_and_outcome():
    generation = Generation(learners=3, courses=COURSES, outcomes=[True, False], seed=1, start_id=10)
    made = [(event.payload["user"]["id"], event.type, event.payload["is_passing"]) for event in generation]
    assert len(made) == len(set(made)) == len(generation) == 12
    assert {learner for learner, _, _ in made} == {10, 11, 12}


def test_the_same_seed_makes_the_same_events_in_the_same_order():
    assert ids() == ids()


def test_another_seed_makes_other_events():
    assert not set(ids()) & set(ids(seed=2))


def test_other_learners_never_share_an_event_id():
    assert not set(ids()) & set(ids(start_id=21))


def test_events_come_in_no_order_of_learners():
    learners = [event.payload["user"]["id"] for event in Generation(50, COURSES[:1], [True], seed=1)]
    assert any(before > after for before, after in pairwise(learners))


def test_repeats_are_the_same_event():
    events = list(Generation(5, COURSES, [True], seed=1, repeat=3))
    assert set(Counter(event.id for event in events).values()) == {3}
    assert len({(event.id, event.time, str(event.payload)) for event in events}) == 10


def test_failing_comes_after_passing():
    times = {event.payload["is_passing"]: event.time for event in Generation(1, COURSES[:1], [True, False], seed=1)}
    assert times[True] < times[False]
