"""Badge templates in the admin: the list, the page, and what may be activated or deleted."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from pipeline.models import ConfigurationVersion, CredlyState, Learner, Progress, Standing, Template, TemplateState
from tests.admin.pages import queries
from tests.ledgers import builders
from tests.ledgers.builders import FAILED, PASSED, course_template, penalty, requirement

LIST = reverse("admin:pipeline_template_changelist")

pytestmark = pytest.mark.django_db


def page_of(template: Template) -> str:
    return reverse("admin:pipeline_template_change", args=[template.pk])


def content(response: Any) -> str:
    return str(response.content.decode())


def sound_template(**fields: Any) -> Template:
    return course_template(**{"active": False, "synced_at": timezone.now()} | fields)


def run(client: Client, action: str, *templates: Template) -> Any:
    data = {"action": action, "_selected_action": [template.pk for template in templates]}
    return client.post(LIST, data, follow=True)


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_the_list_counts_learners_with_progress_and_holders_and_links_to_them(operator: Client):
    template = sound_template()
    for state in (CredlyState.ACCEPTED, CredlyState.NONE):
        badge = builders.badge(template=template, credly_state=state)
        Progress.objects.create(learner=badge.learner, template=template)
    revoked = builders.badge(template=template, standing=Standing.REVOKED, credly_state=CredlyState.REVOKED)
    Progress.objects.create(learner=revoked.learner, template=template)
    page = content(operator.get(LIST))
    assert f'?template__id__exact={template.pk}" class="text-link">3</a>' in page
    link = f"{reverse('admin:pipeline_badge_changelist')}?template__id__exact={template.pk}&amp;standing__exact=awarded"
    assert f'{link}&amp;credly_state__in=pending%2Caccepted%2Crejected" class="text-link">1</a>' in page


def test_the_lists_that_the_numbers_lead_to_answer(operator: Client):
    template = sound_template()
    query = {"template__id__exact": template.pk, "standing__exact": "awarded", "credly_state__in": "pending,accepted"}
    assert operator.get(reverse("admin:pipeline_badge_changelist"), query).status_code == 200
    progress = operator.get(reverse("admin:pipeline_progress_changelist"), {"template__id__exact": template.pk})
    assert progress.status_code == 200


def test_the_list_takes_no_query_per_template(operator: Client):
    owner = builders.organization()
    course_template(owner)
    few = queries(operator, Template)
    for _number in range(5):
        course_template(owner)
    assert queries(operator, Template) == few


@pytest.mark.parametrize("written", [str, lambda uuid: uuid.hex, lambda uuid: f" {{{uuid}}} ".upper()])
def test_a_template_is_found_by_its_uuid(operator: Client, written: Any):
    template, other = sound_template(name="Wanted"), sound_template(name="Unwanted")
    page = content(operator.get(LIST, {"q": written(template.uuid)}))
    assert page_of(template) in page
    assert page_of(other) not in page


def test_a_template_that_allows_duplicates_is_flagged_with_an_explanation(viewer: Client):
    template = sound_template(allows_duplicates=True)
    assert "its own safety net is off" in content(viewer.get(LIST))
    assert "Credly would let a learner hold its badge twice" in content(viewer.get(page_of(template)))


def test_the_page_tells_the_rule_and_links_to_credly(operator: Client, settings: Any):
    settings.BADGES_CONFIG = settings.BADGES_CONFIG | {
        "credly": settings.BADGES_CONFIG["credly"] | {"USE_SANDBOX": True}
    }
    template = sound_template()
    page = content(operator.get(page_of(template)))
    assert "Awarded when the learner passes" in page
    place = f"mgmt/organizations/{template.organization.uuid}/badges/templates/{template.uuid}/details"
    assert f"https://sandbox.credly.com/{place}" in page


def test_what_credly_says_can_not_be_edited(operator: Client):
    template = sound_template()
    form = {"name": "Forged", "uuid": str(uuid4()), "state": "archived", "reaward": "on"}
    assert operator.post(page_of(template), form).status_code == 302
    saved = Template.objects.get(pk=template.pk)
    assert saved.reaward
    assert (saved.name, saved.uuid, saved.state) == (template.name, template.uuid, template.state)


def test_a_template_made_by_hand_is_described_by_hand_until_it_is_synced(operator: Client):
    owner = builders.organization()
    form = {"uuid": str(uuid4()), "organization": owner.pk, "name": "By hand"}
    response = operator.post(reverse("admin:pipeline_template_add"), form)
    template = Template.objects.get(name="By hand")
    assert response.url == page_of(template)
    assert not template.active
    operator.post(page_of(template), {"name": "Renamed"})
    template.refresh_from_db()
    assert template.name == "Renamed"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("uuid", "nonsense", "Enter a valid UUID."), ("name", "", "This field is required.")],
)
def test_a_wrong_template_is_refused_in_words(operator: Client, field: str, value: str, words: str):
    form = {"uuid": str(uuid4()), "organization": builders.organization().pk, "name": "By hand", field: value}
    response = operator.post(reverse("admin:pipeline_template_add"), form)
    assert response.context["adminform"].form.errors[field] == [words]
    assert not Template.objects.exists()


def test_a_uuid_twice_is_refused(operator: Client):
    template = sound_template()
    form = {"uuid": str(template.uuid), "organization": template.organization.pk, "name": "Again"}
    response = operator.post(reverse("admin:pipeline_template_add"), form)
    assert "uuid" in response.context["adminform"].form.errors


def test_a_sound_template_is_activated_and_workers_take_note(operator: Client):
    template = sound_template()
    stamp = ConfigurationVersion.current()
    response = operator.post(page_of(template), {"active": "on"}, follow=True)
    template.refresh_from_db()
    assert template.active
    assert ConfigurationVersion.current() != stamp
    assert any("is active: events from now on count" in text for text in messages_of(response))


def test_activation_is_refused_with_every_problem(operator: Client):
    template = builders.template(active=False, state=TemplateState.DRAFT)
    penalty(template, "idle", [])
    response = operator.post(page_of(template), {"name": template.name, "active": "on"})
    errors = response.context["adminform"].form.errors["active"]
    assert len(errors) == 4
    assert "It has no requirement." in errors
    assert not Template.objects.get(pk=template.pk).active


def test_a_template_that_broke_while_active_can_still_be_saved_and_says_so(operator: Client):
    template = sound_template(active=True)
    Template.objects.filter(pk=template.pk).update(state=TemplateState.ARCHIVED)
    assert "It is active but can't work as it should" in content(operator.get(page_of(template)))
    operator.post(page_of(template), {"active": "on", "reaward": "on"})
    assert Template.objects.get(pk=template.pk).reaward


def test_many_are_activated_at_once_and_each_refusal_is_explained(operator: Client):
    owner = builders.organization()
    good, bad = sound_template(owner=owner, name="Good"), builders.template(owner, active=False, name="Bad")
    response = run(operator, "activate", good, bad)
    assert set(Template.objects.filter(active=True)) == {good}
    assert messages_of(response) == [
        "1 template was refused.<ul><li>“Bad” stays deactivated. It has no requirement.</li></ul>",
        f'1 template was activated.<ul><li>Good <a href="/admin/pipeline/template/{good.pk}/backfill/" class="text-link">'
        "Run the kept events through it</a></li></ul>",
    ]
    assert LogEntry.objects.get().change_message == "Activated."


def test_of_many_refusals_one_message_tells_the_first_and_their_number(operator: Client):
    owner = builders.organization()
    bad = [builders.template(owner, active=False, name=f"Bad {number}") for number in range(8)]
    refusals, activated = messages_of(run(operator, "activate", *bad))
    assert refusals.startswith("8 templates were refused.")
    assert refusals.count("stays deactivated") == 5
    assert "<li>and 3 more</li>" in refusals
    assert activated == "0 templates were activated."


def test_many_are_deactivated_at_once_and_workers_take_note(operator: Client):
    templates = [sound_template(active=True), sound_template(active=True)]
    stamp = ConfigurationVersion.current()
    response = run(operator, "deactivate", *templates)
    assert messages_of(response) == ["2 templates were deactivated; issued badges stay."]
    assert not Template.objects.filter(active=True).exists()
    assert ConfigurationVersion.current() != stamp


def test_the_page_of_an_active_template_says_how_many_learners_a_change_concerns(operator: Client):
    template = sound_template(active=True)
    holder = builders.badge(template=template, credly_state=CredlyState.ACCEPTED).learner
    for learner in (holder, builders.learner(), builders.learner()):
        Progress.objects.create(learner=learner, template=template)
    words = "2 learners are on the way to this badge, 1 learner holds it."
    assert words in content(operator.get(page_of(template)))
    response = operator.post(page_of(template), {"active": "on", "reaward": "on"}, follow=True)
    assert any(words in text for text in messages_of(response))


def test_the_page_of_an_inactive_template_warns_of_nothing(operator: Client):
    assert "on the way to this badge" not in content(operator.get(page_of(sound_template())))


def test_saving_a_template_undoes_nothing_that_was_written_meanwhile(operator: Client):
    template = sound_template(active=True)

    def withdraw(**_: Any) -> None:
        Template.objects.update(active=False, state=TemplateState.ARCHIVED, name="Renamed")

    pre_save.connect(withdraw, sender=Template)
    try:
        assert operator.post(page_of(template), {"active": "on", "reaward": "on"}).status_code == 302
    finally:
        pre_save.disconnect(withdraw, sender=Template)
    template.refresh_from_db()
    assert (template.reaward, template.active) == (True, False)
    assert (template.state, template.name) == (TemplateState.ARCHIVED, "Renamed")


def test_an_active_template_is_not_deleted(operator: Client):
    template = sound_template(active=True)
    address = reverse("admin:pipeline_template_delete", args=[template.pk])
    response = operator.post(address, {"post": "yes"})
    assert "is active. Deactivate it first." in content(response)
    run(operator, "delete_selected", template)
    assert Template.objects.filter(pk=template.pk).exists()


def test_a_template_with_a_history_is_not_deleted(operator: Client):
    template = sound_template()
    Progress.objects.create(learner=builders.learner(), template=template)
    address = reverse("admin:pipeline_template_delete", args=[template.pk])
    assert "It can be deactivated, not deleted." in content(operator.post(address, {"post": "yes"}))
    assert Template.objects.filter(pk=template.pk).exists()
    assert Learner.objects.exists()


def test_a_template_without_a_history_is_deleted_after_confirmation(operator: Client):
    template = sound_template()
    address = reverse("admin:pipeline_template_delete", args=[template.pk])
    assert "Are you sure" in content(operator.get(address))
    operator.post(address, {"post": "yes"})
    assert not Template.objects.exists()


def test_viewers_see_rule_and_facts_and_change_nothing(viewer: Client):
    template = sound_template()
    requirement(template, "second", PASSED, group="A")
    page = content(viewer.get(page_of(template)))
    assert "Awarded when" in page
    assert "second" in page
    assert "Add requirement" not in page
    assert 'name="_save"' not in page
    assert viewer.post(page_of(template), {"active": "on"}).status_code == 403
    run(viewer, "activate", template)
    assert not Template.objects.get(pk=template.pk).active


def test_texts_from_credly_are_escaped(operator: Client):
    template = sound_template(name="<script>alert(1)</script>", active=True)
    penalty(template, "p", list(template.requirements.all()), FAILED)
    for address in (LIST, page_of(template)):
        assert "<script>alert(1)" not in content(operator.get(address))


def test_no_page_shows_the_organizations_key(operator: Client):
    template = sound_template()
    template.organization.api_key = "a-secret-key"
    template.organization.save()
    for address in (LIST, page_of(template)):
        assert "a-secret-key" not in content(operator.get(address))
