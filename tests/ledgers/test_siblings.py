"""Siblings: of a learner's badges of one template one call at a time is out, whoever asks for it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from pipeline.ledgers import holdings, siblings
from pipeline.models import Badge
from tests.ledgers.builders import badge, claimed, ended_claim, held_badge
from tests.ledgers.races import AT_ONCE, race

pytestmark = pytest.mark.django_db


def several(number: int, **fields: object) -> list[Badge]:
    """Badges of one learner and template, for so many values."""
    first = badge(value="0", **fields)
    return [
        first,
        *(badge(learner=first.learner, template=first.template, value=str(n), **fields) for n in range(1, number)),
    ]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_claim_a_sibling_each_at_the_same_moment_one_gets_it():
    rows = [holdings.due(row.pk) for row in several(AT_ONCE)]
    each = iter(rows)
    claims = race(lambda: holdings.claim(next(each)))
    assert sum(claim is not None for claim in claims) == 1


def test_of_several_without_an_answer_the_first_goes_first():
    first, second = several(2, credly_state="issuing")
    assert not siblings.another_is_being_issued(first)
    assert siblings.another_is_being_issued(second)


def test_but_not_while_the_claim_of_another_lasts():
    first, second = several(2, credly_state="issuing")
    Badge.objects.filter(pk=second.pk).update(claimed_until=timezone.now() + timedelta(seconds=30))
    assert siblings.another_is_being_issued(first)
    ended_claim(second)
    assert not siblings.another_is_being_issued(first)


def test_one_that_was_never_sent_waits_for_every_answer_whether_it_comes_first_or_not():
    """Else its look-up would take the one whose answer was lost for its own."""
    first, second = several(2)
    claimed(second)
    assert siblings.another_is_being_issued(first)
    ended_claim(second)
    assert siblings.another_is_being_issued(first)


def test_a_revocation_waits_for_no_sibling():
    first, second = several(2)
    claimed(first)
    Badge.objects.filter(pk=second.pk).update(standing="revoked", credly_state="pending")
    second.refresh_from_db()
    assert not siblings.another_is_being_issued(second)


def test_badges_of_another_learner_or_template_are_no_siblings():
    first, other = badge(value="0"), badge(value="1")
    of_template = badge(learner=first.learner, value="1")
    of_learner = badge(template=first.template, value="1")
    claimed(first)
    assert not any(siblings.another_is_being_issued(row) for row in (other, of_template, of_learner))


def test_credly_holds_another_until_that_is_revoked():
    first = held_badge(value="0")
    second = badge(learner=first.learner, template=first.template, value="1")
    assert siblings.another_is_held(second)
    Badge.objects.filter(pk=first.pk).update(credly_state="revoked")
    assert not siblings.another_is_held(second)


def test_next_after_an_answer_is_the_first_that_has_nothing_at_credly_yet():
    first, second, third = several(3, due_at=timezone.now() + timedelta(hours=1))
    assert siblings.waiting_for(first) == [second.pk]
    Badge.objects.filter(pk=second.pk).update(standing="revoked")
    assert siblings.waiting_for(first) == [third.pk]
    Badge.objects.filter(pk=third.pk).update(due_at=None)
    assert siblings.waiting_for(first) == []
