import pytest

from pipeline.bus import catalogue
from pipeline.bus.descriptions import describe, described
from tests.bus.examples import PASSING


def test_exactly_the_event_types_of_the_catalogue_are_described():
    assert described() == catalogue.event_types().keys()


@pytest.mark.parametrize("event_type", sorted(catalogue.event_types()))
def test_a_description_is_a_title_and_a_clause_that_goes_on_after_when(event_type: str):
    description = describe(event_type)
    assert description.title[0].isupper()
    assert not description.title.endswith(".")
    assert description.clause.startswith(("the ", "a "))
    assert not description.clause.endswith(".")


def test_no_two_event_types_have_the_same_title():
    titles = [describe(event_type).title for event_type in catalogue.event_types()]
    assert len(set(titles)) == len(titles)


def test_the_meaning_is_the_clause_as_a_sentence():
    assert describe(PASSING).meaning == "The learner is graded as passing or not passing a course."


def test_an_unknown_event_type_is_described_by_its_name():
    description = describe("org.openedx.learning.essay_contest.won.v1")
    assert description.title == "Essay contest won"
    assert description.clause == "an event “essay contest won” comes"


@pytest.mark.parametrize("event_type", ["", "org.openedx.learning..v1", "nonsense"])
def test_any_text_has_a_description(event_type: str):
    assert describe(event_type).title
    assert describe(event_type).clause
