"""Using pages of the admin as a browser does."""

import re
from collections.abc import Sequence
from html import unescape
from typing import Any

from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse


def list_url(model: type[Model]) -> str:
    return reverse(f"admin:pipeline_{model._meta.model_name}_changelist")


def page_url(row: Model) -> str:
    return reverse(f"admin:pipeline_{row._meta.model_name}_change", args=[row.pk])


def text(response: Any) -> str:
    """What is to be read on a page."""
    assert response.status_code == 200
    without_tags = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(without_tags).split())


def listed(client: Client, model: type[Model], **query: Any) -> list[Any]:
    """The keys of the rows that a list shows."""
    response = client.get(list_url(model), query)
    assert response.status_code == 200, response.headers
    return [row.pk for row in response.context["cl"].result_list]


def queries(client: Client, model: type[Model]) -> int:
    """How many queries a list takes; see `queries_of`."""
    return queries_of(client, list_url(model))


def queries_of(client: Client, url: str) -> int:
    """How many queries a page takes that counts anew, and whose process has shown it before."""
    client.get(url)
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def act(client: Client, action: str, rows: Sequence[Model], **fields: Any) -> Any:
    """Run an action of the list on these rows; the page that follows."""
    form = {"action": action, "index": 0, "select_across": 0, "_selected_action": [row.pk for row in rows]}
    return client.post(list_url(type(rows[0])), form | fields, follow=True)


def told(response: Any) -> list[str]:
    """The messages of a page."""
    return [str(message) for message in response.context["messages"]]


def logged() -> list[tuple[str, str]]:
    """What the admin's log says, and of which row."""
    return list(LogEntry.objects.order_by("pk").values_list("object_id", "change_message"))


def nudged(callbacks: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """The tasks that were to be sent after the commit, with the arguments of each call."""
    return [(callback.args[0], [call[0] for call in callback.args[1]]) for callback in callbacks]
