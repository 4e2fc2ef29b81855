"""Templates that need badges of each other in a circle."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.configuration.circles import badge_circle, circle
from pipeline.configuration.conditions import TEMPLATE_PATH, Wanted
from pipeline.models import Template
from pipeline.models.configuration import BADGE_EVENTS
from tests.ledgers import builders

AWARDED = BADGE_EVENTS[0]

A, B, C, D = (UUID(int=number) for number in range(1, 5))


class TestCircles:
    def test_a_template_that_needs_itself_is_a_circle(self):
        assert circle(A, {A: [A]}) == [A]

    def test_a_circle_is_told_in_order(self):
        assert circle(A, {A: [D, B], B: [C], C: [A]}) == [A, B, C]

    def test_a_circle_elsewhere_is_none_of_this_template(self):
        assert circle(A, {A: [B], B: [C], C: [B]}) == []

    @given(needed=st.dictionaries(st.sampled_from([A, B, C, D]), st.sets(st.sampled_from([A, B, C, D]))))
    def test_a_circle_is_found_exactly_when_one_leads_back(self, needed: dict[UUID, set[UUID]]):
        reached, grown = set(), set(needed.get(A, ()))
        while grown != reached:
            reached, grown = grown, grown.union(*(needed.get(each, set()) for each in grown))
        found = circle(A, needed)
        assert bool(found) == (A in reached)
        assert all(to in needed[each] for each, to in zip(found, [*found[1:], *found[:1]], strict=True))

    @pytest.mark.django_db
    @pytest.mark.parametrize("operator", ["eq", "in"])
    def test_the_other_templates_are_taken_as_stored(self, operator: str):
        first, second, third = (builders.template(name=name) for name in ("first", "second", "third"))
        needing(first, first)
        needing(second, third, operator)
        needing(third, first, operator)
        assert badge_circle(first.uuid, [wanting(second)]) == [first.uuid, second.uuid, third.uuid]
        assert badge_circle(first.uuid, [wanting(first)]) == [first.uuid]
        assert badge_circle(first.uuid, []) == []

    @pytest.mark.django_db
    def test_a_long_chain_is_no_circle(self):
        chain = [builders.template(name=str(number)) for number in range(6)]
        for needed, needy in pairwise(chain[:-1]):
            needing(needy, needed)
        assert badge_circle(chain[-1].uuid, [wanting(chain[-2])]) == []
        assert badge_circle(chain[0].uuid, [wanting(chain[4])]) != []


def wanting(template: Template) -> Wanted:
    return Wanted("badge", AWARDED, ((TEMPLATE_PATH, "eq", str(template.uuid)),))


def needing(needy: Template, needed: Template, operator: str = "eq") -> None:
    value = str(needed.uuid) if operator == "eq" else f"{UUID(int=9)}\n{needed.uuid}"
    builders.requirement(needy, "badge", (TEMPLATE_PATH, operator, value), type=AWARDED)
