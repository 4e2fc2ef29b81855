"""Migrations: what the release before wrote is there afterwards, and under the constraints of this one."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from pipeline.models import Badge

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


def test_nothing_is_left_to_migrate():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
