"""Encrypting stored API keys anew, after `SECRET_KEY` or `SALT_KEY` changed."""

from dataclasses import dataclass

from django.db import transaction

from pipeline.configuration.organizations import CIPHERTEXT_PREFIX
from pipeline.models import Organization


@dataclass(frozen=True)
class Reencrypted:
    """How many stored keys were encrypted anew, and the organizations whose key no secret here can read."""

    count: int
    unreadable: list[Organization]


def reencrypt() -> Reencrypted:
    """Encrypt every stored key with the present `SECRET_KEY` and `SALT_KEY`.

    Row by row: lock the row, decrypt with whatever secret fits, write it back encrypted.  May be interrupted and repeated.
    A key that can't be decrypted stays as it is.
    """
    count, unreadable = 0, []
    for pk in Organization.objects.exclude(api_key=None).values_list("pk", flat=True):
        with transaction.atomic():
            organization = Organization.objects.select_for_update().get(pk=pk)
            key = organization.api_key or ""
            if key.startswith(CIPHERTEXT_PREFIX):
                unreadable.append(organization)
            elif key:
                Organization.objects.filter(pk=pk).update(api_key=key)
                count += 1
    return Reencrypted(count, unreadable)
