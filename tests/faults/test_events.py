"""Events withheld, delivered hours late, or twice with other content: the time they happened counts, and the first content."""

from dataclasses import replace

from tests.faults.selection import SEED
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated


def test_an_event_that_was_withheld_until_the_badge_was_issued_takes_it_back(cluster):
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    cluster.play(story.all_pass(hour=1))
    assert cluster.settle() == []
    cluster.play(story.all_fail(hour=5))
    assert cluster.settle() == []
    assert story.holders() == set()
    assert_nothing_violated(cluster, story)


def test_an_older_event_that_comes_hours_late_changes_nothing_that_a_newer_one_decided(cluster):
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    cluster.play(story.all_pass(hour=5))
    assert cluster.settle() == []
    cluster.play(story.all_fail(hour=1))
    assert cluster.settle() == []
    assert len(story.holders()) == len(story.learners)
    assert_nothing_violated(cluster, story)


def test_a_badge_that_was_taken_back_is_not_given_again_by_an_older_event_that_comes_late(cluster):
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    withheld = story.all_pass(hour=3)
    cluster.play(story.all_pass(hour=1))
    assert cluster.settle() == []
    cluster.play(story.all_fail(hour=4))
    assert cluster.settle() == []
    cluster.play(withheld)
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_an_event_whose_id_comes_again_with_other_content_counts_as_it_came_first(cluster):
    story = Story(cluster.school, SEED, learners=3, events_each=0)
    first = story.all_pass()
    cluster.play(first)
    assert cluster.settle() == []
    cluster.play([replace(event, payload={**event.payload, "is_passing": False}) for event in first])
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)
    ids = ",".join(f"'{event.id.hex}'" for event in first)
    notes = [note for (note,) in cluster.query(f"SELECT note FROM pipeline_event WHERE id IN ({ids})")]
    assert len(notes) == len(first)
    assert all(note.startswith("Came again with other content") for note in notes)
