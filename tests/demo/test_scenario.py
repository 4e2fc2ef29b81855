from pathlib import Path

import pytest

from pipeline.bus.codec import UndecodableMessage, decode
from pipeline.demo.keep import EXAMPLE_LEARNER
from pipeline.demo.scenario import FEWEST_LEARNERS, NAMES, UNDECODABLE, build, write_events
from pipeline.demo.stories import STORIES
from pipeline.lms.events import CCX_PASSING, PASSING
from pipeline.lms.reading import read_events
from tests.demo.examples import BADGES, NOW, scenario


def test_the_same_seed_gives_the_same_scenario() -> None:
    assert scenario(seed=3) == scenario(seed=3)
    assert scenario(seed=3).phases != scenario(seed=4).phases


def test_the_expectation_does_not_depend_on_the_seed() -> None:
    assert scenario(seed=3).expectation == scenario(seed=4).expectation


def test_every_story_happens_even_to_the_fewest_learners() -> None:
    usernames = {learner.username for learner in scenario().learners}
    assert usernames == {f"{story.name}-1" for story in STORIES}
    assert EXAMPLE_LEARNER in usernames


def test_fewer_learners_than_stories_are_refused() -> None:
    with pytest.raises(ValueError, match="every story needs a learner"):
        build(FEWEST_LEARNERS - 1, 1, BADGES, NOW)


def test_some_events_are_published_again_with_the_same_id() -> None:
    told = scenario(learners=200)
    published = [event for events in told.phases for event in events]
    distinct = {event.id: event for event in published}
    assert len(published) > len(distinct)
    assert all(distinct[event.id] == event for event in published)
    assert told.stored_after(len(told.phases) - 1) == told.expectation.events == len(distinct) + len(UNDECODABLE)


def test_events_are_published_out_of_their_order_in_time() -> None:
    times = [event.time for event in scenario().phases[0]]
    assert times != sorted(times)


def test_no_event_lies_in_the_future() -> None:
    assert all(event.time < NOW for events in scenario(learners=200).phases for event in events)


def test_names_of_every_kind_have_an_issued_badge() -> None:
    told = scenario(learners=200)
    holders = {learner for (learner, _), outcome in told.expectation.badges.items() if outcome.issued}
    assert {learner.name for learner in told.learners if learner.id in holders} == {name for name, _ in NAMES}


def test_a_learner_without_a_name_is_expected_under_the_username() -> None:
    told = scenario(learners=200)
    nameless = [learner for learner in told.learners if not learner.name]
    assert nameless
    assert all(told.expectation.names[learner.id] == (learner.username, learner.username) for learner in nameless)


def test_produce_events_reads_what_is_written(tmp_path: Path) -> None:
    events = scenario().phases[0]
    file = tmp_path / "events.jsonl"
    write_events(events, file)
    with file.open(encoding="utf-8") as lines:
        assert tuple(read_events(lines, str(file), [PASSING, CCX_PASSING])) == events


@pytest.mark.parametrize("message", UNDECODABLE, ids=range(len(UNDECODABLE)))
def test_messages_that_are_no_events_can_not_be_decoded(message: dict[bytes, bytes]) -> None:
    assert isinstance(decode(b"1-0", message, stream="any"), UndecodableMessage)
