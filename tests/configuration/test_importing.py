"""A file's way into the tables: what changes, what stays, and what is told about it."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db.models.signals import pre_save

from pipeline.configuration.places import DocumentError
from pipeline.models import (
    ConfigurationVersion,
    Fulfillment,
    Learner,
    Organization,
    Progress,
    Requirement,
    Template,
)
from tests.configuration.files import EXAMPLE, ORGANIZATION, TEMPLATE, example, imported, lines

pytestmark = pytest.mark.django_db

INTRO = f'template "Intro Course" ({TEMPLATE})'
PATH_RULE = 'course.course_key eq "course-v1:OpenedX+DemoX+Demo_Course"'


def fulfilled_by(count: int, requirement: Requirement, *, fulfilled: bool = True) -> list[Fulfillment]:
    now = datetime.now(tz=UTC)
    rows = []
    for _ in range(count):
        number = Learner.objects.count() + 1
        learner = Learner.objects.create(
            lms_user_id=number, username=f"learner-{number}", as_of=now, as_of_event=uuid.uuid4()
        )
        progress = Progress.objects.create(learner=learner, template=requirement.template)
        rows.append(
            Fulfillment.objects.create(
                progress=progress,
                requirement=requirement,
                fulfilled=fulfilled,
                event=uuid.uuid4(),
                time=now,
                matched={},
            )
        )
    return rows


def test_the_example_of_the_contract_is_imported_and_told():
    assert lines(imported(EXAMPLE)) == [
        f'+ organization "Example Academy" ({ORGANIZATION})',
        f"+ {INTRO}",
        "  + requirement demo-course",
        "  + penalty demo-course-failed",
    ]
    template = Template.objects.get()
    assert (template.uuid, template.name, template.active, template.state) == (
        TEMPLATE,
        "Intro Course",
        True,
        "active",
    )
    requirement, penalty = template.requirements.get(), template.penalties.get()
    assert (requirement.slug, requirement.group) == ("demo-course", "A")
    assert [str(rule) for rule in requirement.rules.all()] == [
        "is_passing eq true",
        "course.course_key eq course-v1:OpenedX+DemoX+Demo_Course",
    ]
    assert penalty.requirements.get() == requirement


def test_the_second_import_of_a_file_changes_nothing_not_even_the_version():
    imported(EXAMPLE)
    version = ConfigurationVersion.current()
    rows = list(Requirement.objects.values()) + list(Template.objects.values())
    assert imported(EXAMPLE) == []
    assert ConfigurationVersion.current() == version
    assert list(Requirement.objects.values()) + list(Template.objects.values()) == rows


def test_a_change_renews_the_version():
    imported(EXAMPLE)
    data = example()
    for change in (
        lambda template: template.update(active=False),
        lambda template: template["requirements"][0].update(group="B"),
        lambda template: template["requirements"][0]["rules"].pop(),
        lambda template: template["penalties"][0]["rules"].reverse(),
        lambda template: template["penalties"].clear(),
    ):
        version = ConfigurationVersion.current()
        change(data["templates"][0])
        assert imported(data) != []
        assert ConfigurationVersion.current() != version


def test_each_difference_is_told_and_a_row_that_only_holds_one_is_named():
    imported(EXAMPLE)
    data = example()
    [template] = data["templates"]
    template["requirements"][0]["group"] = "B"
    template["penalties"][0]["rules"].pop()
    assert lines(imported(data)) == [
        f"  {INTRO}",
        "  ~ requirement demo-course: group A -> B",
        f"  ~ penalty demo-course-failed: rules [is_passing eq false; {PATH_RULE}] -> [is_passing eq false]",
    ]
    template.update(name="Introduction", active=False)
    template["requirements"].append({**template["requirements"][0], "id": "other"})
    template["penalties"][0]["requirements"].append("other")
    assert lines(imported(data)) == [
        f'~ {INTRO}: name "Intro Course" -> Introduction, active true -> false',
        "  + requirement other",
        "  ~ penalty demo-course-failed: requirements [demo-course] -> [demo-course, other]",
    ]


def test_rules_in_another_order_are_other_rules():
    imported(EXAMPLE)
    data = example()
    data["templates"][0]["requirements"][0]["rules"].reverse()
    assert len(imported(data)) == 2
    assert [rule.data_path for rule in Requirement.objects.get().rules.all()] == [
        "course.course_key",
        "is_passing",
    ]


def test_a_changed_requirement_keeps_what_learners_fulfilled():
    imported(EXAMPLE)
    [fulfillment] = fulfilled_by(1, Requirement.objects.get())
    data = example()
    data["templates"][0]["requirements"][0].update(group="C", description="", rules=[])
    assert imported(data) != []
    fulfillment.refresh_from_db()
    assert fulfillment.requirement.group == "C"


def test_a_removed_requirement_is_told_with_the_learners_who_lose_it():
    data = example()
    [template] = data["templates"]
    template["requirements"] += [{**template["requirements"][0], "id": name} for name in ("two", "three")]
    imported(data)
    fulfilled_by(2, Requirement.objects.get(slug="two"))
    fulfilled_by(1, Requirement.objects.get(slug="three"))
    fulfilled_by(1, Requirement.objects.get(slug="three"), fulfilled=False)
    kept = fulfilled_by(1, Requirement.objects.get(slug="demo-course"))
    assert lines(
        imported({**example(), "templates": [{**template, "requirements": template["requirements"][:1]}]})
    ) == [
        f"  {INTRO}",
        "  - requirement two: the progress of 2 learners in it is lost",
        "  - requirement three: the progress of 1 learner in it is lost",
    ]
    assert list(Fulfillment.objects.all()) == kept


def test_a_penalty_and_its_requirement_may_go_together():
    imported(EXAMPLE)
    data = example()
    data["templates"][0].update(active=False, requirements=[], penalties=[])
    assert lines(imported(data))[1:] == ["  - penalty demo-course-failed", "  - requirement demo-course"]
    assert not Requirement.objects.exists()


def test_what_the_file_does_not_mention_stays():
    imported(EXAMPLE)
    Organization.objects.update(name="Name from sync")
    Template.objects.update(description="From Credly.", image_url="https://images.example/a.png", state="archived")
    other = Template.objects.create(uuid=uuid.uuid4(), organization=Organization.objects.get(), name="Other")
    Requirement.objects.create(template=other, slug="mine", event_type="x")
    data = example()
    data["organizations"] = [{"uuid": str(ORGANIZATION)}]
    assert imported(data) == []
    del data["organizations"]
    assert imported(data) == []
    assert imported("version: 1") == []
    organization = Organization.objects.get()
    assert (organization.name, organization.api_key) == ("Name from sync", "env:CREDLY_API_KEY")
    assert Template.objects.get(uuid=TEMPLATE).description == "From Credly."
    assert other.requirements.get().slug == "mine"


def test_a_template_not_said_to_be_active_is_inactive_and_not_awarded_again():
    data = example()
    data["templates"][0]["reaward"] = True
    imported(data)
    del data["templates"][0]["active"], data["templates"][0]["reaward"]
    assert lines(imported(data)) == [f"~ {INTRO}: active true -> false, reaward true -> false"]


def test_a_template_may_move_to_an_organization_of_the_database():
    imported(EXAMPLE)
    other = Organization.objects.create(uuid=uuid.uuid4(), name="Other")
    data = example()
    data["templates"][0]["organization"] = str(other.uuid)
    assert lines(imported(data)) == [f'~ {INTRO}: organization "Example Academy" -> Other']
    assert Template.objects.get().organization == other


def test_keys_are_replaced_and_never_told():
    imported(EXAMPLE)
    data = example()
    for key in ("s3cret-key", "other-s3cret", "env:CREDLY_API_KEY"):
        data["organizations"][0]["api_key"] = key
        assert lines(imported(data)) == [f'~ organization "Example Academy" ({ORGANIZATION}): api_key: changed']
        assert Organization.objects.get().api_key == key
        assert imported(data) == []


def test_a_dry_run_tells_the_same_and_changes_nothing():
    imported(EXAMPLE)
    data = example()
    data["organizations"].append({"uuid": str(uuid.UUID(int=1)), "name": "New"})
    data["templates"][0].update(name="New name", penalties=[])
    data["templates"][0]["requirements"][0].update(id="renamed")
    version = ConfigurationVersion.current()
    told = imported(data, dry_run=True)
    assert lines(told) == [
        f'+ organization "New" ({uuid.UUID(int=1)})',
        f'~ {INTRO}: name "Intro Course" -> "New name"',
        "  + requirement renamed",
        "  - penalty demo-course-failed",
        "  - requirement demo-course",
    ]
    assert ConfigurationVersion.current() == version
    assert imported(EXAMPLE) == []
    assert imported(data) == told


def test_a_file_with_an_error_changes_nothing():
    data = example()
    data["templates"].append({**data["templates"][0], "uuid": str(uuid.UUID(int=1)), "state": "gone"})
    with pytest.raises(DocumentError):
        imported(data)
    assert not Organization.objects.exists()
    assert not Template.objects.exists()


def test_an_import_that_breaks_half_way_changes_nothing():
    imported(EXAMPLE)
    data = example()
    data["templates"][0]["name"] = "New name"
    data["templates"].append({**data["templates"][0], "uuid": str(uuid.UUID(int=1))})

    def refuse(sender: object, instance: Template, **_: object) -> None:
        if instance.uuid == uuid.UUID(int=1):
            raise ConnectionError

    pre_save.connect(refuse, sender=Template)
    try:
        with pytest.raises(ConnectionError):
            imported(data)
    finally:
        pre_save.disconnect(refuse, sender=Template)
    assert Template.objects.get().name == "Intro Course"
