"""Badges that need badges, with real processes: our own signals come back over the bus, and a chain of five settles."""

from collections import Counter
from typing import Any

import pytest
from redis import Redis

from pipeline.embedded.system import TOPIC, System
from pipeline.lms.events import LmsLearner
from tests.system.academy import Academy, learner, penalty, requirement
from tests.system.conditions import eventually

AWARDED = "org.openedx.learning.badge.awarded.v1"
REVOKED = "org.openedx.learning.badge.revoked.v1"
PASSED, FAILED = ("is_passing", "eq", "true"), ("is_passing", "eq", "false")
LENGTH = 5

Told = Counter[tuple[str, str, int]]
"""How often which type was told of which template and learner."""


class Chain:
    """Templates of which each is awarded with the badge of the one before, and revoked with it; the first for a course."""

    def __init__(self, academy: Academy) -> None:
        self.academy = academy
        self.course = f"course-v1:Chain+{academy.organization[:8]}+2026"
        course = ("course.course_key", "eq", self.course)
        first = academy.template(
            [requirement("pass", PASSED, course)], [penalty("fail", ["pass"], FAILED, course)], reaward=True
        )
        self.templates = [first]
        while len(self.templates) < LENGTH:
            before = ("template.uuid", "eq", self.templates[-1])
            self.templates.append(
                academy.template(
                    [requirement("held", before) | {"event_type": AWARDED}],
                    [penalty("lost", ["held"], before) | {"event_type": REVOKED}],
                    reaward=True,
                )
            )

    def holders(self, *of: LmsLearner) -> list[list[LmsLearner]]:
        """Which of these learners hold the badge of each template at Credly."""
        holders = [self.academy.holders(template) for template in self.templates]
        return [[who for who in of for holder in each if holder == str(who.id)] for each in holders]

    def badges(self, *of: LmsLearner) -> list[tuple[str, str]]:
        """All badges that Credly ever issued to these learners, and in what state they are."""
        return sorted(
            (badge["id"], badge["state"])
            for template in self.templates
            for who in of
            for badge in self.academy.badges_at_credly(template, who)
        )

    def told(self, *of: LmsLearner) -> Told:
        """What the LMS received about these learners' badges, repeats dropped."""
        ids = [who.id for who in of]
        received = {each["id"]: each for each in self.academy.system.received_signals() if each["learner"] in ids}
        return Counter((each["type"], each["template"], each["learner"]) for each in received.values())

    def each_told(self, *told: tuple[str, LmsLearner]) -> Told:
        """These, told of every template."""
        return Counter((event_type, template, who.id) for event_type, who in told for template in self.templates)


@pytest.fixture(scope="module")
def chain(system: System) -> Chain:
    return Chain(Academy(system))


def test_earning_the_first_of_five_awards_all_and_losing_it_revokes_all_each_once(chain: Chain):
    everybody = stays, loses, regains = [learner() for _ in range(3)]
    academy, course = chain.academy, chain.course
    academy.play_and_wait(*(academy.passes(who, course) for who in everybody))
    assert chain.holders(*everybody) == [everybody] * LENGTH

    academy.play_and_wait(*(academy.fails(who, course) for who in (loses, regains)))
    assert chain.holders(*everybody) == [[stays]] * LENGTH

    academy.play_and_wait(academy.passes(regains, course))
    assert chain.holders(*everybody) == [[stays, regains]] * LENGTH
    assert len(chain.badges(*everybody)) == 4 * LENGTH  # each learner's, and one learner's again

    awarded = [(AWARDED, who) for who in (*everybody, regains)]
    expected = chain.each_told(*awarded, (REVOKED, loses), (REVOKED, regains))
    eventually(lambda: chain.told(*everybody).total() >= expected.total())  # the LMS reads at its own pace
    assert chain.told(*everybody) == expected


def test_signals_that_come_back_again_and_in_the_wrong_order_change_nothing(system: System, chain: Chain):
    who, academy = learner(), chain.academy
    for play in (academy.passes, academy.fails, academy.passes):
        academy.play_and_wait(play(who, chain.course))
    before = chain.badges(who)
    assert Counter(state for _, state in before) == {"pending": LENGTH, "revoked": LENGTH}
    with Redis.from_url(system.redis.url) as bus:
        entries: Any = bus.xrange(TOPIC)
        for _, fields in reversed(entries):
            bus.xadd(TOPIC, fields)
    system.wait_until_idle()
    assert chain.badges(who) == before
