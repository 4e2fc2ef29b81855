"""What an operator sees of `sync_organization_badge_templates`."""

from uuid import uuid4

import pytest

from pipeline.models import Template
from tests.configuration.test_commands import Ran
from tests.ledgers import builders
from tests.stages.conftest import call_credly_at, make_site

pytestmark = pytest.mark.django_db(transaction=True)

COMMAND = "sync_organization_badge_templates"


@pytest.fixture
def credly(emulator, settings):
    call_credly_at(f"{emulator.api}/", settings)
    return emulator


def test_each_change_is_a_line_and_the_counts_come_last(credly, capsys):
    site = make_site(credly, allow_duplicate_badges=True)
    created = {"organization": site.academy.organization, "name": "Advanced"}
    new = credly.control("POST", "templates", created)["id"]
    ran = Ran(capsys, COMMAND)
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"Academy ({site.academy.organization})"
    assert f'  + template "Advanced" ({new}): not active until somebody activates it' in lines
    assert '  ! template "Intro Course" allows duplicates at Credly, so its own safety net is off' in lines
    assert lines[-1] == "  Done: 1 added, 1 changed, 0 unchanged."


def test_a_template_with_a_badge_per_value_that_credly_allows_once_is_a_line(credly, capsys):
    make_site(credly)
    Template.objects.update(per="course.course_key")
    said = '  ! template "Intro Course" has one badge per value here, and Credly allows a learner one in all: allow duplicates'
    assert f"{said} for it at Credly, then sync" in Ran(capsys, COMMAND).out.splitlines()


def test_one_organization_can_be_named_and_a_site_is_accepted(credly, capsys):
    site, other = make_site(credly), make_site(credly)
    ran = Ran(capsys, COMMAND, "--organization_id", site.academy.organization, "--site_id", "1")
    assert ran.status == 0
    assert other.academy.organization not in ran.out
    assert Template.objects.get(uuid=site.academy.template).synced_at is not None
    assert Template.objects.get(uuid=other.academy.template).synced_at is None


def test_an_organization_that_fails_is_named_in_one_line_and_the_others_are_still_synced(credly, capsys):
    keyless = builders.organization(name="A", api_key=None)
    site = make_site(credly)
    ran = Ran(capsys, COMMAND)
    assert (ran.status, ran.err) == (1, f"CommandError: Not synced: {keyless.uuid}.\n")
    assert "Failed: This organization has no API key" in ran.out
    assert Template.objects.get(uuid=site.academy.template).synced_at is not None


def test_an_unknown_organization_is_one_clear_line(credly, capsys):
    unknown = uuid4()
    ran = Ran(capsys, COMMAND, "--organization_id", str(unknown))
    assert ran.status == 1
    assert ran.err == (
        f"CommandError: There is no organization {unknown} here: add it in the admin or the badge file.\n"
    )


def test_what_is_no_uuid_is_wrong_usage(capsys):
    ran = Ran(capsys, COMMAND, "--organization_id", "academy")
    assert ran.status == 2
    assert "'academy' is not a UUID" in ran.err


def test_with_no_organization_there_is_nothing_to_do(capsys):
    assert Ran(capsys, COMMAND).out == "There is no organization to sync.\n"
