"""Webhooks in the admin: found by what became of them, explained in words, and handled again by operators alone."""

from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from pipeline import stages
from pipeline.ledgers import webhooks
from pipeline.models import Organization, Webhook, WebhookState
from tests.admin.pages import queries
from tests.ledgers.builders import organization
from tests.stages.conftest import Site
from tests.stages.credly_events import act, posted, told

LIST = reverse("admin:pipeline_webhook_changelist")

pytestmark = pytest.mark.django_db


def page(row: Webhook) -> str:
    return reverse("admin:pipeline_webhook_change", args=[row.pk])


def ended(state: str, event_type: str = "badge.created", owner: Organization | None = None) -> Webhook:
    pk = webhooks.receive(owner or organization(), uuid4(), event_type)
    webhooks.end(webhooks.claim(webhooks.due(pk)), WebhookState(state), f"so it was {state}")
    return Webhook.objects.get(pk=pk)


def handle_again(client: Client, *rows: Webhook, **fields: str) -> str:
    """Run the action as the button or the list does; the page that follows."""
    data = {"action": "handle_again", "_selected_action": [row.pk for row in rows], "index": "0"} | fields
    return client.post(LIST, data, follow=True).content.decode()


def shown(client: Client, **filters: str) -> set[int]:
    answer = client.get(LIST, filters)
    assert answer.status_code == 200
    return {row.pk for row in answer.context["cl"].result_list}


def test_the_list_is_filtered_by_state_type_and_organization_and_searched_by_event(viewer):
    owner = organization(name="Other Academy")
    refused, foreign = ended("refused", "badge.deleted"), ended("ignored", "employee.promoted", owner)
    both = {refused.pk, foreign.pk}
    assert shown(viewer) == both
    assert shown(viewer, state__exact="refused") == {refused.pk}
    assert shown(viewer, type="badge.deleted") == {refused.pk}
    assert shown(viewer, type="other") == {foreign.pk}
    assert shown(viewer, organization__id__exact=str(owner.pk)) == {foreign.pk}
    assert shown(viewer, received_at_from_0="2020-01-01") == both
    assert shown(viewer, received_at_to_0="2020-01-01") == set()
    assert shown(viewer, q=str(refused.event)) == {refused.pk}
    assert shown(viewer, q="nonsense") == set()


def test_the_list_needs_no_query_per_row(administrator):
    ended("handled")
    of_one = queries(administrator, Webhook)
    for _ in range(10):
        ended("handled", owner=Organization.objects.get())
    assert queries(administrator, Webhook) == of_one


def test_the_page_says_what_became_of_it(viewer):
    row = ended("ignored")
    text = viewer.get(page(row)).content.decode()
    assert "so it was ignored" in text
    assert "(&#x27;" not in text, "a value is shown as Python writes it"
    assert str(row.event) in text


def test_an_operator_has_it_handled_again_which_is_logged(site: Site, operator: Client):
    badge = site.issued()
    row = told(site, "badge.created")
    site.emulator.control("POST", f"badges/{badge.credly_id}/accept")
    assert "Handle again" in operator.get(page(row)).content.decode()
    assert "1 webhook is handled again." in handle_again(operator, row)
    stages.webhook(row.pk)
    badge.refresh_from_db()
    assert badge.credly_state == "accepted"
    [entry] = LogEntry.objects.all()
    assert (entry.object_id, entry.change_message, entry.user.username) == (str(row.pk), "Handled again.", "operator")


def test_one_that_is_being_handled_is_left_and_told(site: Site, operator: Client):
    busy = posted(site, uuid4())
    webhooks.claim(webhooks.due(busy.pk))
    text = handle_again(operator, busy, ended("refused"))
    assert "1 webhook is handled again." in text
    assert "1 is being handled right now." in text


def test_viewers_are_offered_nothing_and_can_do_nothing(site: Site, viewer: Client):
    badge = site.issued()
    act(site, badge, "accept")
    row = told(site, "badge.state.changed")
    assert "Handle again" not in viewer.get(page(row)).content.decode()
    handle_again(viewer, row)
    row.refresh_from_db()
    assert row.state == "handled"


def test_a_get_never_acts(operator: Client):
    row = ended("refused")
    operator.get(LIST, {"action": "handle_again", "_selected_action": row.pk})
    operator.get(page(row))
    row.refresh_from_db()
    assert row.state == "refused"


@pytest.mark.parametrize("who", ["operator", "administrator"])
def test_nobody_changes_or_adds_a_webhook_by_hand(who, request):
    client, row = request.getfixturevalue(who), ended("handled")
    assert client.post(page(row), {"state": "refused"}).status_code == 403
    assert client.get(reverse("admin:pipeline_webhook_add")).status_code == 403
    assert client.post(reverse("admin:pipeline_webhook_delete", args=[row.pk])).status_code == 403
