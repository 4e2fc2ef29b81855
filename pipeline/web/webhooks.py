"""Where Credly posts its webhooks: stored and answered at once, verified and obeyed later.

Credly documents no signature.  So what is posted is not believed: it is a pointer, which the stage `webhook` follows.
Only the answer 200 counts for Credly; after any other it comes again, for up to 25 days (facts/credly-api.md, 9.3).
"""

import json
import logging
import re
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from limits import RateLimitItemPerMinute

from pipeline import nudges
from pipeline.counting import Counter
from pipeline.ledgers import webhooks
from pipeline.models import Organization

logger = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
"""Bytes; Credly's four fields take some two hundred."""

MOST_WITHOUT_SECRET = 600
"""Webhooks of one organization in a minute, where no secret tells Credly's from a stranger's.  Each is stored, and costs calls
of those that `CREDLY_RATE_LIMIT` allows."""

_WITHOUT_SECRET = RateLimitItemPerMinute(MOST_WITHOUT_SECRET, namespace="badges-webhooks")
_posted = Counter("Webhooks")


class MalformedWebhook(Exception):
    """What was posted is no webhook.  The message names the field and quotes nothing."""


@dataclass(frozen=True)
class Pointer:
    """What a webhook says: something of this type happened in this organization."""

    event: UUID
    organization: UUID
    event_type: str

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Parse a body; fields that we do not know are left alone.

        Raises:
            MalformedWebhook: a field is missing or is not what it should be.
        """
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise MalformedWebhook("body: must be JSON.") from None
        if not isinstance(fields, dict):
            raise MalformedWebhook("body: must be a JSON object.")
        return cls(_uuid(fields, "id"), _uuid(fields, "organization_id"), _event_type(fields))


def _uuid(fields: dict[str, Any], name: str) -> UUID:
    try:
        return UUID(fields.get(name))
    except (ValueError, TypeError, AttributeError):
        raise MalformedWebhook(f"{name}: must be a UUID.") from None


def _event_type(fields: dict[str, Any]) -> str:
    value = fields.get("event_type")
    # A database refuses to store NUL and halves of surrogate pairs, which are not printable.
    if not isinstance(value, str) or not 0 < len(value) <= webhooks.LONGEST_TYPE or not value.isprintable():
        raise MalformedWebhook(f"event_type: must be a text of at most {webhooks.LONGEST_TYPE} characters.")
    return value


@csrf_exempt
@require_POST
def receive_webhook(request: HttpRequest, secret: str = "") -> HttpResponse:
    """Store one webhook durably, have it handled, and answer 200.  May be repeated.

    Works while `BADGES_ENABLED` is false too: what is stored then is handled once workers run.

    Other answers: 400 for what is no webhook, 404 for a wrong secret or an organization that we do not have (nothing is
    stored; one that is added within Credly's 25 days still gets it), 413, 503 while the database is away, too much waits, or
    too much comes without a secret.
    """
    if settings.CREDLY_WEBHOOK_SECRET and not constant_time_compare(secret, settings.CREDLY_WEBHOOK_SECRET):
        return _answer(404, "Not found.")
    try:
        body = request.read(LARGEST_BODY + 1)
        if len(body) > LARGEST_BODY:
            return _answer(413, f"body: must be at most {LARGEST_BODY} bytes.")
        return _store(Pointer.read(body))
    except UnreadablePostError:
        return _answer(400, "body: broke off.")
    except MalformedWebhook as malformed:
        return _answer(400, str(malformed))
    except webhooks.TooManyWaiting:
        return _answer(503, "Too many webhooks of this organization wait.")
    except (DatabaseError, InterfaceError) as error:
        logger.warning("A webhook was not taken: the database does not answer (%s)", type(error).__name__)
        return _answer(503, "The database does not answer.")


def _store(pointer: Pointer) -> HttpResponse:
    organization = Organization.objects.filter(uuid=pointer.organization).first()
    if organization is None:
        return _answer(404, "organization_id: is not known here.")
    if not settings.CREDLY_WEBHOOK_SECRET and not _posted.hit(_WITHOUT_SECRET, str(organization.uuid)):
        return _answer(503, "Too many webhooks of this organization.")
    stored = webhooks.receive(organization, pointer.event, pointer.event_type)
    # While badges are switched off no worker would take the nudge, and perhaps there is no broker either.
    if stored is not None and settings.BADGES_ENABLED:
        nudges.webhook([stored])
    return _answer(200, "Stored.")


def _answer(status: int, line: str) -> HttpResponse:
    return HttpResponse(f"{line}\n", status=status, content_type="text/plain")


class _SecretHidden(logging.Filter):
    """Strikes the secret from Django's log lines, which tell the path of every request that was not answered 200."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = re.sub(r"(/credly/webhook/)[^\s\"']+", r"\1...", record.getMessage()), ()
        return True


for _name in ("django.request", "django.server"):
    logging.getLogger(_name).addFilter(_SecretHidden())
