"""Every page of the admin answers."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

LISTS = sorted(model._meta.model_name for model in admin.site._registry if model._meta.app_label == "pipeline")


@pytest.mark.parametrize("model", LISTS)
def test_the_list_answers(administrator: Client, model: str):
    assert administrator.get(reverse(f"admin:pipeline_{model}_changelist")).status_code == 200


def test_the_first_page_answers(administrator: Client):
    assert administrator.get(reverse("admin:index")).status_code == 200


@pytest.mark.parametrize("model", LISTS)
def test_viewers_see_every_list_and_can_add_nothing(viewer: Client, model: str):
    assert viewer.get(reverse(f"admin:pipeline_{model}_changelist")).status_code == 200
    assert viewer.get(reverse(f"admin:pipeline_{model}_add")).status_code == 403
