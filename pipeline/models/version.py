"""The version of the configuration: workers compare it before each batch and so never use a stale ruleset."""

import uuid
from typing import Any

from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save

from pipeline.models.configuration import Penalty, PenaltyRule, Requirement, RequirementRule, Template


class ConfigurationVersion(models.Model):
    """One row with a random stamp that every change of the configuration replaces, in the same transaction.

    A random stamp and not a counter: a database restored from a backup counts the same numbers again.
    """

    stamp = models.UUIDField()

    ROW = 1

    def __str__(self) -> str:
        return str(self.stamp)

    @classmethod
    def current(cls) -> uuid.UUID | None:
        """The stamp of now; None before anything was ever configured."""
        return cls.objects.filter(pk=cls.ROW).values_list("stamp", flat=True).first()

    @classmethod
    def renew(cls) -> None:
        """Say that the configuration changed.  May be repeated.  Bulk writes of configuration must call it themselves."""
        cls.objects.update_or_create(pk=cls.ROW, defaults={"stamp": uuid.uuid4()})


def _renew(**_: Any) -> None:
    ConfigurationVersion.renew()


for _model in (Template, Requirement, RequirementRule, Penalty, PenaltyRule):
    post_save.connect(_renew, sender=_model)
    post_delete.connect(_renew, sender=_model)
m2m_changed.connect(_renew, sender=Penalty.requirements.through)
