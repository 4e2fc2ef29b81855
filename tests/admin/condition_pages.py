"""Using the pages of requirements and penalties as a browser does."""

from typing import Any

from django.test import Client
from django.urls import reverse

from pipeline.models import Requirement, Template
from tests.bus.examples import PASSING

Rule = tuple[str, str, str]
"""Key path, operator and value, as entered."""


def addition(kind: str, template: Template) -> str:
    return f"{reverse(f'admin:pipeline_{kind}_add')}?template={template.pk}"


def page_of(row: Any) -> str:
    return reverse(f"admin:pipeline_{row._meta.model_name}_change", args=[row.pk])


def form(*rules: Rule, **fields: Any) -> dict[str, Any]:
    """What the page of a new requirement or penalty posts."""
    data: dict[str, Any] = {"slug": "new", "event_type": PASSING} | fields
    data |= {"rules-TOTAL_FORMS": len(rules), "rules-INITIAL_FORMS": 0}
    for number, (path, operator, value) in enumerate(rules):
        data |= {
            f"rules-{number}-data_path": path,
            f"rules-{number}-operator": operator,
            f"rules-{number}-value": value,
        }
    return data


def add(client: Client, template: Template, *rules: Rule, **fields: Any) -> Requirement:
    response = client.post(addition("requirement", template), form(*rules, **fields))
    assert response.status_code == 302, response.context["adminform"].form.errors
    return Requirement.objects.get(slug=fields.get("slug", "new"))


def errors(client: Client, template: Template, *rules: Rule, **fields: Any) -> dict[str, str]:
    """The errors of a requirement that is refused: by field, those of rules by `rule` and their field, or `rules`."""
    response = client.post(addition("requirement", template), form(*rules, **fields))
    assert response.status_code == 200
    [inline] = response.context["inline_admin_formsets"]
    found = {name: " ".join(texts) for name, texts in response.context["adminform"].form.errors.items()}
    for row in inline.formset.errors:
        found |= {f"rule {name}": " ".join(texts) for name, texts in row.items()}
    if of_all := " ".join(inline.formset.non_form_errors()):
        found["rules"] = of_all
    return found


def content(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())
