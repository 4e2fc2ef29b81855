"""Migrations: what the release before wrote is there afterwards, and under the constraints of this one."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from pipeline.lms.events import PASSING, LmsLearner
from pipeline.models import Badge, ConfigurationVersion, Fulfillment, Progress
from tests.ledgers import builders
from tests.ledgers.builders import DEMO, MATH

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("pipeline", "0007_intake")


@pytest.fixture
def before() -> Iterator[Any]:
    """The tables as they were, and their models."""
    call_command("migrate", *BEFORE, verbosity=0)
    try:
        yield MigrationExecutor(connection).loader.project_state(BEFORE).apps
    finally:
        call_command("migrate", verbosity=0)


def test_badges_of_before_are_unique_as_badges_of_now_are(before):
    organization = before.get_model("pipeline", "Organization").objects.create(uuid=uuid4(), name="Academy")
    template = before.get_model("pipeline", "Template").objects.create(
        uuid=uuid4(), organization=organization, name="Badge"
    )
    now = timezone.now()
    learner = before.get_model("pipeline", "Learner").objects.create(
        lms_user_id=1, username="dana", as_of=now, as_of_event=uuid4()
    )
    badges = before.get_model("pipeline", "Badge").objects
    for cycle, standing, state in ((1, "revoked", "revoked"), (2, "awarded", "accepted")):
        badges.create(
            learner=learner, template=template, cycle=cycle, standing=standing, credly_state=state, earned_at=now
        )
    call_command("migrate", verbosity=0)
    assert list(Badge.objects.order_by("cycle").values_list("is_awarded", "is_live")) == [(None, None), (True, True)]
    revoked = Badge.objects.filter(cycle=1)
    for change in ({"standing": "awarded"}, {"credly_state": "revoking"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            revoked.update(**change)
    assert revoked.update(credly_state="revoking", revoked_by="extra") == 1


def test_what_learners_have_of_before_stands_and_goes_on(before):
    """A fulfilled requirement, one that was taken back, and a badge: events of before change nothing, newer ones do."""
    now = timezone.now()
    organization = before.get_model("pipeline", "Organization").objects.create(uuid=uuid4(), name="Academy")
    template = before.get_model("pipeline", "Template").objects.create(
        uuid=uuid4(), organization=organization, name="Badge", active=True, state="active"
    )
    learner = before.get_model("pipeline", "Learner").objects.create(
        lms_user_id=1, username="dana", as_of=now, as_of_event=uuid4()
    )
    progress = before.get_model("pipeline", "Progress").objects.create(learner=learner, template=template)
    for course, fulfilled in ((DEMO, True), (MATH, False)):
        requirement = before.get_model("pipeline", "Requirement").objects.create(
            template=template, slug=course[-4:], event_type=PASSING
        )
        for path, value in (("is_passing", "true"), ("course.course_key", course)):
            before.get_model("pipeline", "RequirementRule").objects.create(
                requirement=requirement, data_path=path, operator="eq", value=value
            )
        before.get_model("pipeline", "Fulfillment").objects.create(
            progress=progress,
            requirement=requirement,
            fulfilled=fulfilled,
            event=uuid4(),
            time=builders.at(5),
            matched={"penalty": "failed", "rules": []},
        )
    call_command("migrate", verbosity=0)
    ConfigurationVersion.renew()
    who = LmsLearner(1, "dana", "dana@learners.example", "Dana Moe")
    builders.deliver(builders.passes(who, 4, MATH))
    assert list(Fulfillment.objects.order_by("pk").values_list("fulfilled", "time")) == [
        (True, builders.at(5)),
        (False, builders.at(5)),
    ]
    assert not Badge.objects.exists()
    builders.deliver(builders.passes(who, 6, MATH))
    assert list(Badge.objects.values_list("learner__username", "value", "standing")) == [("dana", "", "awarded")]
    assert Progress.objects.count() == 1


def test_nothing_is_left_to_migrate():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
