"""Credly answers badly for a while: with refusals, errors, pages, broken, slow or no answers.  Everything heals by itself.

But for the refusals that say that the same call would be refused again: those wait for a person, with Credly's words.

The faults are the emulator's, met while it is asked to issue, to revoke, and while we look what became of a lost call.
Credly's own net is off, so a call repeated blindly shows as a second badge.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.faults import pace
from tests.faults.cluster import SMALL, Cluster
from tests.faults.selection import SEED, sample
from tests.faults.story import Story
from tests.faults.trial import assert_nothing_violated
from tests.faults.witness import refused_rows, violations

LEARNERS = 3
ISSUE = {"method": "POST", "path": "/badges$"}
REVOKE = {"method": "PUT", "path": "/revoke$"}
LOOK = {"method": "GET", "path": "/badges"}
DUPLICATE = "422, a duplicate"
"""Where Credly shows no such badge, the second such answer is final."""


class ImpatientCluster(Cluster):
    """Its calls to Credly end soon when no answer comes."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, pace.VARIABLE: pace.IMPATIENT}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ImpatientCluster(tmp_path_factory.mktemp("cluster"), numbers={**SMALL, "credly": 2}, seed=SEED) as running:
        yield running


@dataclass(frozen=True)
class Moment:
    """What Credly is asked for when it answers badly.

    Attributes:
        call: the calls that are struck.
        revokes: whether a revocation is played, and not an award.
        loses: whether the answer of the call before was lost, so that we look what became of it.
        final: the answers after which a person must act.
    """

    call: dict[str, str]
    revokes: bool = False
    loses: bool = False
    final: tuple[str, ...] = ()


MOMENTS = {
    "issuing": Moment(ISSUE, final=("404", "409", "422")),
    "revoking": Moment(REVOKE, revokes=True, final=("409", "422", DUPLICATE)),
    "looking for a lost badge": Moment(LOOK, loses=True),
    "looking for a lost revocation": Moment(LOOK, revokes=True, loses=True),
}
WITHOUT_EFFECT: dict[str, dict[str, Any]] = {
    "401": {"preset": "401"},
    "403": {"preset": "403"},
    "404": {"preset": "404"},
    "409": {"preset": "409"},
    "422": {"preset": "422-archived"},
    DUPLICATE: {"preset": "422-duplicate"},
    "429": {"preset": "429-bare"},
    "429 for 2 s": {"preset": "429", "retry_after": 2},
    "429 until a time": {"preset": "429"},  # see `_fault`
    "429 until nobody knows when": {"preset": "429", "retry_after": "soon"},
    "500": {"preset": "500"},
    "502, a page": {"preset": "502-html"},
    "503": {"preset": "503"},
    "504": {"preset": "504"},
    "200, a page": {"preset": "200-html"},
    "reset before the effect": {"preset": "reset-before"},
}
WITH_EFFECT: dict[str, dict[str, Any]] = {
    "503 after the effect": {"preset": "503", "when": "after"},
    "504 after the effect": {"preset": "504", "when": "after"},
    "200, a page, after the effect": {"preset": "200-html", "when": "after"},
    "JSON that breaks off": {"preset": "truncated-json"},
    "half the JSON": {"preset": "cut-json"},
    "byte by byte": {"preset": "slow-drip"},
    "reset after the effect": {"preset": "reset-after-success"},
    "nothing, after the effect": {"preset": "timeout-after-success"},
    "an effect after we gave up": {"delay": 2, "when": "before"},
}
ANSWERS = WITHOUT_EFFECT | WITH_EFFECT
CASES = [(moment, answer) for moment in MOMENTS for answer in ANSWERS]


def _is_final(case: tuple[str, str]) -> bool:
    moment, answer = case
    return answer in MOMENTS[moment].final


PASSING = [case for case in CASES if not _is_final(case)]
FINAL = [case for case in CASES if _is_final(case)]


@pytest.mark.parametrize(("moment", "answer"), sample(PASSING, 4))
def test_what_credly_answered_badly_for_a_while_heals_by_itself(cluster, moment, answer):
    once_each = answer == DUPLICATE or (answer in WITH_EFFECT and not MOMENTS[moment].loses)
    times = LEARNERS if once_each else LEARNERS + 1
    story, fault = play(cluster, MOMENTS[moment], answer, times)
    assert cluster.settle() == []
    assert hits(cluster, fault) == times
    assert_nothing_violated(cluster, story)


@pytest.mark.parametrize(("moment", "answer"), sample(FINAL, 1))
def test_what_credly_refuses_for_good_says_why_and_goes_on_by_redrive(cluster, moment, answer):
    story, fault = play(cluster, MOMENTS[moment], answer, LEARNERS)
    assert cluster.settle() == []
    assert hits(cluster, fault) == LEARNERS
    reasons = refused_rows(cluster).values()
    assert len(reasons) == LEARNERS
    assert all(reason.startswith("Credly says:") for reason in reasons)

    cluster.manage("redrive", "badges")
    assert cluster.settle() == []
    assert_nothing_violated(cluster, story)


def test_without_doubt_a_page_in_place_of_an_answer_would_be_taken_for_a_revocation(cluster):
    with cluster.without("an answer that proves nothing is not believed"):
        story, _ = play(cluster, MOMENTS["revoking"], "200, a page", LEARNERS)
        assert cluster.settle() == []
        found = violations(cluster, story)
    assert any("live badge(s), should hold 0" in str(line) for line in found), found


def play(cluster: Cluster, moment: Moment, answer: str, times: int) -> tuple[Story, str]:
    """Learners pass, or then fail, while Credly answers so for so many calls.  Returns the fault's id too."""
    story = Story(cluster.school, SEED, LEARNERS, events_each=0)
    events = story.all_pass()
    if moment.revokes:
        cluster.play(events)
        cluster.settle()
        events = story.all_fail()
    cluster.credly("DELETE", "faults")
    if moment.loses:
        lost = {"preset": "reset-after-success", "match": REVOKE if moment.revokes else ISSUE, "times": LEARNERS}
        cluster.credly("POST", "faults", lost)
    fault = cluster.credly("POST", "faults", {**_fault(answer), "match": moment.call, "times": times})
    cluster.play(events)
    return story, fault["id"]


def _fault(answer: str) -> dict[str, Any]:
    if answer == "429 until a time":
        return {
            **ANSWERS[answer],
            "retry_after": format_datetime(datetime.now(UTC) + timedelta(seconds=6), usegmt=True),
        }
    return ANSWERS[answer]


def hits(cluster: Cluster, fault: str) -> int:
    """How many calls a fault struck."""
    faults = cluster.credly("GET", "faults")["faults"]
    return next(int(each["hits"]) for each in faults if each["id"] == fault)
