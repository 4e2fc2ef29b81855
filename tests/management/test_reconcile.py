"""What an operator sees of `reconcile`."""

import json
from typing import Any
from uuid import uuid4

import pytest

from pipeline.models import Badge, Discrepancy, Learner
from tests.credly.emulated_credly import EmulatedCredly
from tests.ledgers import builders
from tests.management.commands import run
from tests.stages.conftest import Site, call_credly_at, make_site
from tests.stages.credly_events import act

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(emulator: EmulatedCredly, settings: Any) -> Site:
    call_credly_at(f"{emulator.api}/", settings)
    return make_site(emulator)


@pytest.fixture
def accepted(site: Site) -> Badge:
    """A badge that its learner accepted, which nobody told us."""
    row = site.issued()
    act(site, row, "accept")
    return row


def test_where_nothing_differs_it_says_so_and_ends_with_zero(site: Site, capsys: pytest.CaptureFixture[str]):
    site.issued()
    site.academy.issued(issuer_earner_id=None)
    ran = run(capsys, "reconcile")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"Academy ({site.academy.organization})",
        "  2 badges compared: 0 missing, 0 extra, 0 different, 1 not ours",
    ]


def test_a_difference_is_a_line_without_names_and_the_status_is_three(
    site: Site, accepted: Badge, capsys: pytest.CaptureFixture[str]
):
    ran = run(capsys, "reconcile")
    assert (ran.status, ran.err) == (3, "")
    assert ran.out.splitlines()[1] == (
        f'  different: learner {accepted.learner.lms_user_id}, template "Intro Course", badge {accepted.uuid}, '
        f"at Credly {accepted.credly_id}: accepted at Credly, pending here"
    )
    assert accepted.learner.username not in ran.out
    assert accepted.learner.email not in ran.out


def test_a_repair_that_is_queued_ends_with_zero_and_says_who_did_it(
    site: Site, accepted: Badge, capsys: pytest.CaptureFixture[str]
):
    ran = run(capsys, "reconcile", "--repair")
    assert ran.status == 0
    assert ran.out.splitlines()[1].endswith("accepted at Credly, pending here; repair queued")
    assert accepted.history.last().actor == "manage.py reconcile"
    assert Discrepancy.objects.get().repair_queued_at is not None


def test_a_repair_that_is_refused_says_why_and_differences_stay(site: Site, capsys: pytest.CaptureFixture[str]):
    row = site.issued()
    Badge.objects.update(credly_id=row.uuid)
    site.academy.call("DELETE", f"/badges/{row.credly_id}")
    Learner.objects.update(retired_at=builders.START)
    ran = run(capsys, "reconcile", "--repair")
    assert ran.status == 3
    assert "; not repaired: The learner was retired, so there is no e-mail to issue the badge to." in ran.out


def test_json_is_one_object_and_nothing_else(site: Site, accepted: Badge, capsys: pytest.CaptureFixture[str]):
    ran = run(capsys, "reconcile", "--json")
    assert (ran.status, ran.err) == (3, "")
    assert json.loads(ran.out) == {
        "organizations": [
            {
                "organization": site.academy.organization,
                "name": "Academy",
                "failure": "",
                "compared": 1,
                "missing": 0,
                "extra": 0,
                "different": 1,
                "not_ours": 0,
                "discrepancies": [
                    {
                        "kind": "different",
                        "learner": accepted.learner.lms_user_id,
                        "template": site.academy.template,
                        "template_name": "Intro Course",
                        "badge": str(accepted.uuid),
                        "credly_id": str(accepted.credly_id),
                        "detail": "accepted at Credly, pending here",
                        "repair": None,
                    }
                ],
            }
        ]
    }


def test_an_organization_that_fails_is_named_and_the_others_are_still_compared(
    site: Site, accepted: Badge, capsys: pytest.CaptureFixture[str]
):
    keyless = builders.organization(name="A", api_key=None)
    ran = run(capsys, "reconcile")
    assert (ran.status, ran.err) == (1, f"CommandError: Not reconciled: {keyless.uuid}.\n")
    assert "  Failed: This organization has no API key" in ran.out
    assert "1 different" in ran.out


def test_one_organization_can_be_named(site: Site, accepted: Badge, capsys: pytest.CaptureFixture[str]):
    other = make_site(site.emulator)
    ran = run(capsys, "reconcile", "--organization_id", other.academy.organization)
    assert (ran.status, site.academy.organization in ran.out) == (0, False)


def test_an_unknown_organization_and_what_is_no_uuid_are_one_clear_line(site: Site, capsys: pytest.CaptureFixture[str]):
    unknown = uuid4()
    ran = run(capsys, "reconcile", "--organization_id", str(unknown))
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"CommandError: There is no organization {unknown} here")
    ran = run(capsys, "reconcile", "--organization_id", "academy")
    assert ran.status == 2
    assert "invalid UUID value: 'academy'" in ran.err


def test_with_no_organization_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]):
    assert run(capsys, "reconcile").out == "There is no organization to reconcile.\n"
