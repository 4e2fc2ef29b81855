"""The rules editor as the server sees it, which is all there is without JavaScript."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from pipeline.models import (
    ConfigurationVersion,
    Fulfillment,
    Penalty,
    PenaltyRule,
    Progress,
    Requirement,
    RequirementRule,
    Template,
)
from tests.bus.examples import PASSING
from tests.ledgers import builders
from tests.ledgers.builders import DEMO, FAILED, PASSED, course, course_template, penalty, requirement

CCX_PASSING = "org.openedx.learning.ccx.course.passing.status.updated.v1"
REGISTERED = "org.openedx.learning.student.registration.completed.v1"

Rule = tuple[str, str, str]

pytestmark = pytest.mark.django_db


@pytest.fixture
def template() -> Template:
    """One that passing the demo course earns and failing it takes back; inactive."""
    return course_template(active=False)


def address(kind: str, template: Template) -> str:
    return f"{reverse(f'admin:pipeline_{kind}_add')}?template={template.pk}"


def page_of(row: Requirement | Penalty) -> str:
    return reverse(f"admin:pipeline_{row._meta.model_name}_change", args=[row.pk])


def removal_of(row: Requirement | Penalty) -> str:
    return reverse(f"admin:pipeline_{row._meta.model_name}_delete", args=[row.pk])


def template_page(template: Template) -> str:
    return reverse("admin:pipeline_template_change", args=[template.pk])


def form(*rules: Rule, stored: Any = (), **fields: Any) -> dict[str, Any]:
    """What the page posts: `stored` are rows that are there already, then come new rules."""
    data: dict[str, Any] = {"slug": "new", "event_type": PASSING} | fields
    rows = [*stored, *rules]
    data |= {"rules-TOTAL_FORMS": len(rows), "rules-INITIAL_FORMS": len(stored)}
    for number, row in enumerate(rows):
        path, operator, value = row if isinstance(row, tuple) else (row.data_path, row.operator, row.value)
        data |= {
            f"rules-{number}-data_path": path,
            f"rules-{number}-operator": operator,
            f"rules-{number}-value": value,
        }
        if not isinstance(row, tuple):
            data |= {f"rules-{number}-id": row.pk}
    return data


def field_errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return dict(response.context["adminform"].form.errors)


def rule_errors(response: Any) -> list[dict[str, list[str]]]:
    assert response.status_code == 200
    [inline] = response.context["inline_admin_formsets"]
    return [dict(errors) for errors in inline.formset.errors]


def content(response: Any) -> str:
    return str(response.content.decode())


def test_a_requirement_is_added_with_its_rules_and_leads_back_to_the_template(operator: Client, template: Template):
    stamp = ConfigurationVersion.current()
    response = operator.post(address("requirement", template), form(PASSED, course(DEMO), group="B"))
    assert response.url == template_page(template)
    row = Requirement.objects.get(slug="new")
    assert (row.template, row.group, row.event_type) == (template, "B", PASSING)
    assert [str(rule) for rule in row.rules.all()] == ["is_passing eq true", f"course.course_key eq {DEMO}"]
    assert ConfigurationVersion.current() != stamp


def test_a_requirement_may_have_no_rules(operator: Client, template: Template):
    operator.post(address("requirement", template), form(("", "eq", "")))
    assert not Requirement.objects.get(slug="new").rules.exists()


def test_a_penalty_is_added_on_requirements_of_its_template(operator: Client, template: Template):
    [demo] = template.requirements.all()
    response = operator.post(address("penalty", template), form(FAILED, requirements=[demo.pk]))
    assert response.url == template_page(template)
    assert list(Penalty.objects.get(slug="new").requirements.all()) == [demo]


def test_an_empty_id_is_made_from_the_description(operator: Client, template: Template):
    for _time in range(2):
        operator.post(address("requirement", template), form(slug="", description="Pass the Demo course."))
    slugs = list(template.requirements.values_list("slug", flat=True))
    assert slugs == ["demo", "pass-the-demo-course", "pass-the-demo-course-2"]


@pytest.mark.parametrize("description", ["", "数学"])
def test_without_any_letters_for_an_id_one_is_asked_for(operator: Client, template: Template, description: str):
    response = operator.post(address("requirement", template), form(slug="", description=description))
    assert field_errors(response)["slug"] == ["Enter an id, or a description from which one can be made."]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"slug": "demo"}, "slug", "“demo” is taken"),
        ({"slug": "two words"}, "slug", "letters a-z A-Z, digits, - and _"),
        ({"group": "AB"}, "group", "A group is one letter from A to Z."),
        ({"group": "a"}, "group", "A group is one letter from A to Z."),
        ({"event_type": ""}, "event_type", "This field is required."),
        ({"event_type": "no.such.event.v1"}, "event_type", "is not one that badges may use"),
        ({"event_type": REGISTERED}, "event_type", "is not one that badges may use"),
    ],
)
def test_a_wrong_requirement_is_refused_in_words(
    operator: Client, template: Template, fields: dict[str, str], field: str, words: str
):
    response = operator.post(address("requirement", template), form(PASSED, **fields))
    [error] = field_errors(response)[field]
    assert words in error
    assert template.requirements.count() == 1


@pytest.mark.parametrize(
    ("rule", "field", "words"),
    [
        (("is_passing", "eq", "maybe"), "value", "“maybe” does not fit the type of the key path, boolean."),
        (("course.ccx_course_key", "eq", "x"), "data_path", "“course.ccx_course_key” is no key path of"),
        (("user.pii.email", "eq", "x"), "data_path", "“user.pii.email” is no key path of"),
        (("is_passing", "like", "true"), "operator", "Select a valid choice."),
        (("is_passing", "eq", ""), "value", "Enter a value;"),
        (("", "eq", "true"), "data_path", "This field is required."),
        (("course.display_name", "eq", "x" * 4001), "value", "at most 4000 characters"),
    ],
)
@pytest.mark.parametrize("kind", ["requirement", "penalty"])
def test_a_wrong_rule_is_refused_in_words_at_its_field(
    operator: Client, template: Template, kind: str, rule: Rule, field: str, words: str
):
    [demo] = template.requirements.all()
    response = operator.post(address(kind, template), form(PASSED, rule, requirements=[demo.pk]))
    sound, wrong = rule_errors(response)
    assert sound == {}
    assert any(words in error for error in wrong[field])
    assert not Requirement.objects.filter(slug="new").exists()
    assert not Penalty.objects.filter(slug="new").exists()


def test_a_whole_number_is_asked_for_at_a_path_of_one(operator: Client, template: Template):
    rule = ("course.max_students_allowed", "eq", "many")
    response = operator.post(address("requirement", template), form(rule, event_type=CCX_PASSING))
    [errors] = rule_errors(response)
    assert "a whole number such as 25" in errors["value"][0]


def test_a_penalty_without_a_rule_is_refused(operator: Client, template: Template):
    [demo] = template.requirements.all()
    response = operator.post(address("penalty", template), form(requirements=[demo.pk]))
    assert "A penalty needs at least one rule" in content(response)
    assert not Penalty.objects.filter(slug="new").exists()


def test_the_last_rule_of_a_penalty_can_not_be_taken_away(operator: Client, template: Template):
    [row] = template.penalties.all()
    data = form(stored=row.rules.all(), slug=row.slug, requirements=[row.requirements.get().pk])
    data |= {"rules-0-DELETE": "on", "rules-1-DELETE": "on"}
    assert "A penalty needs at least one rule" in content(operator.post(page_of(row), data))
    assert row.rules.count() == 2


def test_a_penalty_without_a_requirement_is_refused(operator: Client, template: Template):
    errors = field_errors(operator.post(address("penalty", template), form(FAILED)))
    assert errors["requirements"] == ["Choose at least one requirement that it takes back."]


def test_a_penalty_on_another_templates_requirement_is_refused(operator: Client, template: Template):
    theirs = requirement(builders.template(template.organization), "theirs", PASSED)
    errors = field_errors(operator.post(address("penalty", template), form(FAILED, requirements=[theirs.pk])))
    assert errors["requirements"] == ["Choose requirements of this template only."]


def test_changing_the_event_type_checks_the_rules_that_are_there(operator: Client, template: Template):
    [row] = template.requirements.all()
    data = form(stored=row.rules.all(), slug=row.slug, event_type=CCX_PASSING)
    passing, key = rule_errors(operator.post(page_of(row), data))
    assert passing == {}
    assert "“course.course_key” is no key path of" in key["data_path"][0]


def test_rules_are_changed_and_removed_and_workers_take_note(operator: Client, template: Template):
    [row] = template.requirements.all()
    stamp = ConfigurationVersion.current()
    data = form(stored=row.rules.all(), slug=row.slug) | {"rules-0-value": "false", "rules-1-DELETE": "on"}
    assert operator.post(page_of(row), data).url == template_page(template)
    assert [str(rule) for rule in row.rules.all()] == ["is_passing eq false"]
    assert ConfigurationVersion.current() != stamp


def test_other_requirements_taken_back_by_a_penalty_make_workers_take_note(operator: Client, template: Template):
    [row] = template.penalties.all()
    second = requirement(template, "second", PASSED)
    stamp = ConfigurationVersion.current()
    data = form(stored=row.rules.all(), slug=row.slug, requirements=[second.pk])
    operator.post(page_of(row), data)
    assert list(row.requirements.all()) == [second]
    assert ConfigurationVersion.current() != stamp


def test_a_stored_event_type_that_the_settings_no_longer_list_stays_visible(operator: Client, template: Template):
    row = requirement(template, "joined", type=REGISTERED)
    assert f"{REGISTERED} (not listed in the settings)" in content(operator.get(page_of(row)))


def test_a_stored_key_path_that_is_no_longer_offered_stays_visible(operator: Client, template: Template):
    row = requirement(template, "nosy", ("user.pii.email", "eq", "x"))
    page = content(operator.get(page_of(row)))
    assert re.search(r'<option value="user.pii.email" selected', page)
    assert "Not offered (any more)" in page


def test_key_paths_of_all_event_types_are_offered_without_a_script(operator: Client, template: Template):
    page = content(operator.get(address("requirement", template)))
    for text in ("is_passing (boolean)", "course.course_key (course key)", "course.ccx_course_key (course key)"):
        assert text in page
    assert "user.pii.email" not in page
    assert page.count('name="rules-') > 3 * 3


def test_the_script_is_told_the_key_paths_and_their_types(operator: Client, template: Template):
    page = content(operator.get(address("requirement", template)))
    [data] = re.findall(r'<script id="rules-editor" type="application/json">(.*?)</script>', page)
    types = json.loads(data)["types"]
    assert types.keys() >= {PASSING, CCX_PASSING}
    assert types[CCX_PASSING]["paths"]["course.max_students_allowed"] == "integer"
    assert 'src="/static/badges/rules.js"' in page


def test_groups_say_what_they_mean(operator: Client, template: Template):
    requirement(template, "spanish", PASSED, group="L")
    page = content(operator.get(address("requirement", template)))
    assert "L: this, or spanish" in page
    assert ">M</option>" in page


@pytest.mark.parametrize("query", ["", "?template=", "?template=nonsense", "?template=0", f"?template={10**30}"])
def test_who_names_no_template_chooses_one(operator: Client, template: Template, query: str):
    response = operator.get(reverse("admin:pipeline_requirement_add") + query)
    assert response.status_code == 200
    assert f'<option value="{template.pk}">' in content(response)


def test_a_change_of_an_active_template_tells_how_many_learners_it_concerns(operator: Client):
    template = course_template()
    Progress.objects.create(learner=builders.learner(), template=template)
    words = "1 learner is on the way to this badge, 0 learners hold it."
    [row] = template.requirements.all()
    assert words in content(operator.get(page_of(row)))
    data = form(stored=row.rules.all(), slug=row.slug, group="C")
    response = operator.post(page_of(row), data, follow=True)
    assert any(words in str(message) for message in response.context["messages"])


def test_the_last_requirement_of_an_active_template_stays(operator: Client):
    template = course_template()
    template.penalties.all().delete()
    [row] = template.requirements.all()
    assert "is active and would have no requirement left" in content(operator.post(removal_of(row), {"post": "yes"}))
    selected = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    operator.post(reverse("admin:pipeline_requirement_changelist"), selected)
    assert Requirement.objects.filter(pk=row.pk).exists()


def test_a_requirement_that_a_penalty_alone_takes_back_stays(operator: Client, template: Template):
    [row] = template.requirements.all()
    response = operator.post(removal_of(row), {"post": "yes"})
    assert "The penalty “demo-failed” would take back nothing any more." in content(response)
    assert Requirement.objects.filter(pk=row.pk).exists()


def test_removing_a_requirement_tells_what_is_lost_and_leads_back(operator: Client, template: Template):
    row = requirement(template, "second", PASSED)
    for _number in range(2):
        progress = Progress.objects.create(learner=builders.learner(), template=template)
        Fulfillment.objects.create(
            progress=progress,
            requirement=row,
            fulfilled=True,
            event=progress.learner.as_of_event,
            time=builders.START,
            matched={},
        )
    assert "what 2 learners achieved in it" in content(operator.get(removal_of(row)))
    assert operator.post(removal_of(row), {"post": "yes"}).url == template_page(template)
    assert not Requirement.objects.filter(pk=row.pk).exists()


def test_removal_in_bulk_makes_workers_take_note(operator: Client, template: Template):
    rows = [requirement(template, slug, PASSED) for slug in ("second", "third")]
    stamp = ConfigurationVersion.current()
    selected = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
    operator.post(reverse("admin:pipeline_requirement_changelist"), selected)
    assert template.requirements.count() == 1
    assert ConfigurationVersion.current() != stamp


def test_a_penalty_is_removed_and_leads_back(operator: Client):
    template = course_template()
    [row] = template.penalties.all()
    assert operator.post(removal_of(row), {"post": "yes"}).url == template_page(template)
    assert not template.penalties.exists()


def test_viewers_see_rules_and_change_nothing(viewer: Client, template: Template):
    [row] = template.requirements.all()
    [taken] = template.penalties.all()
    for condition in (row, taken):
        page = content(viewer.get(page_of(condition)))
        assert "Awarded when" in page
        assert DEMO in page
        assert viewer.post(page_of(condition), form(PASSED)).status_code == 403
        assert viewer.get(removal_of(condition)).status_code == 403
    assert viewer.get(address("requirement", template)).status_code == 403
    assert RequirementRule.objects.count() == PenaltyRule.objects.count() == 2


def test_a_description_in_script_tags_is_escaped(operator: Client, template: Template):
    row = requirement(template, "second", ("course.display_name", "eq", "</script><script>alert(1)</script>"))
    penalty(template, "p", [row], FAILED)
    for place in (page_of(row), template_page(template)):
        assert "<script>alert(1)" not in content(operator.get(place))
