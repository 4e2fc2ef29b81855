"""Any peer: taken over twice the second time changes nothing, nothing is issued blind, and nothing is due untold."""

from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import models
from pipeline.models import Badge, CredlyState, Standing
from pipeline.switching.dump import read_dump
from pipeline.switching.report import Section
from pipeline.switching.takeover import take_over
from tests.ledgers.builders import DEMO, MATH
from tests.switching.peers import PeerDump, said, silent

pytestmark = pytest.mark.django_db

TABLES = [
    models.Organization,
    models.Template,
    models.Requirement,
    models.RequirementRule,
    models.Penalty,
    models.PenaltyRule,
    models.Learner,
    models.Progress,
    models.Fulfillment,
    models.Badge,
    models.BadgeHistory,
    models.Signal,
    models.ConfigurationVersion,
]
NAMES = ["dana", "eli", "fay", "gus"]
STATES = ["created", "no_response", "error", "pending", "accepted", "rejected", "revoked", "expired", "lost"]
rules = st.lists(
    st.sampled_from(
        [
            ("is_passing", "eq", "true"),
            ("is_passing", "ne", "no"),
            ("course.course_key", "eq", DEMO),
            ("course.course_key", "ne", MATH),
            ("course.course_key", "like", DEMO),
            ("data.is_passing", "eq", "true"),
        ]
    ),
    max_size=2,
)


@st.composite
def dumps(draw: st.DrawFn) -> PeerDump:
    """A peer with whatever a peer may have, and half of what it must not."""
    dump = PeerDump()
    owner = dump.organization(uuid=str(UUID(int=1)), api_key=draw(st.sampled_from(["", "the-key"])))
    templates: list[int] = []
    requirements: list[int] = []
    for number in range(draw(st.integers(1, 3))):
        template = dump.template(
            owner,
            provider=draw(st.sampled_from(["credly", "credly", "accredible"])),
            uuid=str(UUID(int=100 + number)),
            is_active=draw(st.booleans()),
            state=draw(st.sampled_from(["active", "active", "draft", "archived", "gone"])),
            site=draw(st.integers(1, 2)),
        )
        templates.append(template)
        own = [
            dump.requirement(template, *draw(rules), blend=draw(st.sampled_from([None, "A", "B", "a"])))
            for _ in range(draw(st.integers(0, 3)))
        ]
        requirements += own
        if draw(st.booleans()):
            dump.penalty(template, draw(st.lists(st.sampled_from(own), unique=True)) if own else [], *draw(rules))
    for number, name in enumerate(NAMES[: draw(st.integers(1, 4))]):
        lms_user_id = draw(st.sampled_from([number + 1, number + 1, 1, None]))
        dump.user(name, lms_user_id)
    fulfilled = st.lists(st.sampled_from([None, *requirements]), max_size=3)
    for _ in range(draw(st.integers(0, 6))):
        dump.progress(draw(st.sampled_from(NAMES)), draw(st.sampled_from([None, *templates])), *draw(fulfilled))
    for number in range(draw(st.integers(0, 6))):
        dump.badge(
            draw(st.sampled_from(NAMES)),
            draw(st.sampled_from([*templates, 999])),
            draw(st.sampled_from(STATES)),
            draw(st.sampled_from([None, UUID(int=1000 + number), UUID(int=1000)])),
            status=draw(st.sampled_from(["awarded", "awarded", "revoked", "lost"])),
            uuid=str(UUID(int=2000 + number)),
        )
    return dump


def content() -> dict[str, list[Any]]:
    """All rows of all tables."""
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in TABLES}


@given(dump=dumps())
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_second_run_changes_nothing_and_nothing_is_due_but_what_the_first_said(dump: PeerDump, tmp_path):
    with transaction.atomic():
        peer = read_dump(str(dump.write(tmp_path / "peer.json")), silent)
        trial = take_over(peer, {}, dry_run=True, advance=silent)
        assert not Badge.objects.exists()
        first = take_over(peer, {}, dry_run=False, advance=silent)
        assert list(trial.lines()) == list(first.lines())
        asked = {dump.fields("credentials.usercredential", int(pk))["uuid"] for _, pk in said(first, Section.ASKED)}
        assert asked == {str(row.uuid) for row in Badge.objects.filter(due_at__isnull=False)}
        assert not Badge.objects.filter(standing=Standing.AWARDED, credly_state=CredlyState.NONE).exists()
        before = content()
        assert take_over(peer, {}, dry_run=False, advance=silent).is_done
        assert content() == before
        transaction.set_rollback(True)


@given(dump=dumps())
@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_row_of_progress_fulfillments_and_badges_is_here_or_listed(dump: PeerDump, tmp_path):
    with transaction.atomic():
        peer = read_dump(str(dump.write(tmp_path / "peer.json")), silent)
        report = take_over(peer, {}, dry_run=False, advance=silent)
        left = said(report, Section.LEFT_OUT)
        badges = {pk for pk in peer.credly_badges if ("badges.credlybadge", pk) not in left}
        assert {str(peer.credentials[pk].uuid) for pk in badges} == {str(row.uuid) for row in Badge.objects.all()}
        progress = {pk for pk in peer.progress if ("badges.badgeprogress", pk) not in left}
        merged = {pk for label, pk in said(report, Section.NOTED) if label == "badges.badgeprogress"}
        assert len(progress - merged) <= models.Progress.objects.count() <= len(progress)
        fulfilled = [pk for pk in peer.fulfillments if ("badges.fulfillment", pk) not in left]
        assert bool(fulfilled) == models.Fulfillment.objects.exists()
        assert models.Fulfillment.objects.count() <= len(fulfilled)
        transaction.set_rollback(True)
