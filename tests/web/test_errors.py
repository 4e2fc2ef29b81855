"""What is shown instead of a page: in the admin's look for staff, plain and without the database for all others."""

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.views.defaults import server_error

from tests.staff import client_of

NOWHERE = "/no/such/page"


@pytest.mark.django_db
def test_staff_see_in_the_frame_of_the_admin_that_a_page_does_not_exist():
    answer = client_of("viewer").get(NOWHERE)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert f'href="{reverse("admin:pipeline_badge_changelist")}"' in answer.text
    assert NOWHERE not in answer.text


@pytest.mark.django_db
def test_staff_see_in_the_frame_of_the_admin_that_a_page_is_not_for_them():
    answer = client_of("viewer").get(reverse("admin:auth_user_changelist"))
    assert answer.status_code == 403
    assert "does not have the permission" in answer.text
    assert f'href="{reverse("admin:index")}"' in answer.text


@pytest.mark.django_db
def test_strangers_see_a_plain_page_that_costs_no_query():
    with CaptureQueriesContext(connection) as queries:
        answer = Client().get(NOWHERE)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert "/admin/" not in answer.text
    assert not queries.captured_queries


def test_a_fault_of_ours_needs_neither_the_database_nor_anything_else_of_us():
    answer = server_error(RequestFactory().get("/"))
    page = answer.content.decode()
    assert answer.status_code == 500
    assert "Something went wrong" in page
    assert "src=" not in page
    assert "href=" not in page
