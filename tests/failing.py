"""A task and a page that fail with a learner's data in their hands: for `-I tests.failing`, and as `ROOT_URLCONF`."""

import logging
from typing import Any, NoReturn

import requests
from django.conf import settings
from django.http import HttpRequest
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from redis import Redis

from pipeline.celery import app
from pipeline.models import Learner, Organization
from pipeline.urls import urlpatterns as those_of_the_site

logger = logging.getLogger(__name__)


def fail_with_personal_data() -> NoReturn:
    learner = Learner.objects.get()
    organization = Organization.objects.get()
    headers = {"Authorization": f"Bearer {organization.api_key}"}
    Learner.objects.filter(email=learner.email).count()
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.set(learner.email, learner.username, ex=60)
    address = f"{settings.SEARCHED_URL}?filter=recipient_email::{learner.email}"
    requests.get(address, headers=headers, timeout=20)
    logger.error("Look at %s", learner.email, extra={"learner": learner.username, "headers": headers})
    try:
        raise ValueError(f"{learner.email} {organization.api_key}")
    except ValueError as error:
        error.add_note(learner.username)
        raise RuntimeError(f"Failed for {learner.email}") from error


@app.task(name="fail")
def fail(*_: Any) -> None:
    fail_with_personal_data()


@csrf_exempt
def failing(_: HttpRequest, name: str) -> NoReturn:
    fail_with_personal_data()


urlpatterns = [*those_of_the_site, path("failing/<str:name>/", failing)]
