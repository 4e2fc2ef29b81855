"""What learners can earn on a stand: one organization, and as many templates as one likes.

Runs inside the stand's environment, `python -m benchmarks.school plant ...`: a badge file of ten thousand templates would
take minutes to import, and importing is not what is measured.
"""

import argparse

from django.db import transaction

from benchmarks.load import course, template_id
from pipeline.lms.events import PASSING
from pipeline.models import (
    ConfigurationVersion,
    Organization,
    Penalty,
    PenaltyRule,
    Requirement,
    RequirementRule,
    Template,
)


@transaction.atomic
def plant(organization: str, key: str, number: int) -> None:
    """Make the organization and its templates, all active: whoever passes course n earns badge n, whoever fails loses it."""
    owner = Organization.objects.create(uuid=organization, name="Bench", api_key=key)
    numbers = range(1, number + 1)
    templates = Template.objects.bulk_create(
        Template(uuid=template_id(organization, each), organization=owner, name=f"Badge {each}", active=True)
        for each in numbers
    )
    requirements = Requirement.objects.bulk_create(
        Requirement(template=template, slug="passed", event_type=PASSING) for template in templates
    )
    penalties = Penalty.objects.bulk_create(
        Penalty(template=template, slug="failed", event_type=PASSING) for template in templates
    )
    Penalty.requirements.through.objects.bulk_create(
        Penalty.requirements.through(penalty=penalty, requirement=requirement)
        for penalty, requirement in zip(penalties, requirements, strict=True)
    )
    for each, requirement, penalty in zip(numbers, requirements, penalties, strict=True):
        rules = {"is_passing": "true", "course.course_key": course(each)}
        RequirementRule.objects.bulk_create(
            RequirementRule(requirement=requirement, data_path=path, value=value) for path, value in rules.items()
        )
        PenaltyRule.objects.bulk_create(
            PenaltyRule(penalty=penalty, data_path=path, value=value)
            for path, value in (rules | {"is_passing": "false"}).items()
        )
    ConfigurationVersion.renew()


@transaction.atomic
def activate(number: int) -> None:
    """The first templates are active, and no others."""
    active = Template.objects.order_by("pk").values_list("pk", flat=True)[:number]
    Template.objects.update(active=False)
    Template.objects.filter(pk__lte=max(active)).update(active=True)
    ConfigurationVersion.renew()


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.school", description=__doc__)
    parser.add_argument("what", choices=["plant", "activate"])
    parser.add_argument("--templates", type=int, required=True)
    parser.add_argument("--organization")
    parser.add_argument("--key")
    options = parser.parse_args()
    if options.what == "plant":
        plant(options.organization, options.key, options.templates)
    else:
        activate(options.templates)


if __name__ == "__main__":
    main()
