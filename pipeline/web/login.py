"""The admin's login form, which bounds how often a password may be guessed.

Attempts count per account *and* address, so nobody can lock another out, and per address for all accounts together.
"""

import ipaddress
import logging
import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables
from limits import RateLimitItemPerMinute
from unfold.forms import AuthenticationForm

from pipeline.counting import Counter

logger = logging.getLogger(__name__)

MINUTES = 15
ATTEMPTS_PER_ACCOUNT = 10
"""From one address in `MINUTES`; a successful login begins anew."""

ATTEMPTS_PER_ADDRESS = 100
"""In `MINUTES`, for all accounts together; an office may share one address."""

_OF_ACCOUNT = RateLimitItemPerMinute(ATTEMPTS_PER_ACCOUNT, MINUTES, namespace="badges-login-account")
_OF_ADDRESS = RateLimitItemPerMinute(ATTEMPTS_PER_ADDRESS, MINUTES, namespace="badges-login-address")
_attempts = Counter("Logins")
_WITH_PORT = re.compile(r"([\d.]+):\d+|\[(.+)\](?::\d+)?")


class LoginForm(AuthenticationForm):  # type: ignore[misc]
    """Unfold's, with the bound.  Named in the setting `UNFOLD`."""

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Log in, if there are attempts left.

        Raises:
            ValidationError: there are none, or account and password do not fit.
        """
        address = _hidden(client_address(self.request))
        account = _hidden(str(self.cleaned_data.get("username", "")).casefold())
        if not (_attempts.hit(_OF_ADDRESS, address) and _attempts.hit(_OF_ACCOUNT, address, account)):
            logger.warning("A login was refused: too many attempts from one address")
            raise ValidationError(_too_many(), code="too_many_attempts")
        cleaned: dict[str, Any] = super().clean()
        if self.user_cache is not None:
            _attempts.clear(_OF_ACCOUNT, address, account)
        return cleaned


def client_address(request: HttpRequest) -> str:
    """The address that the outermost of our `PROXIES` was called from; of IPv6 the network, which one customer has whole.

    What stands further left in X-Forwarded-For was written by the client and counts for nothing.
    """
    direct = request.META.get("REMOTE_ADDR", "")
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    written = forwarded[-settings.PROXIES] if 0 < settings.PROXIES <= len(forwarded) else direct
    try:
        address = ipaddress.ip_address(_without_port(written))
    except ValueError:
        return str(direct)
    if address.version == 4:
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))


def _without_port(written: str) -> str:
    """Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    found = _WITH_PORT.fullmatch(written)
    return found[1] or found[2] if found else written


def _hidden(text: str) -> str:
    """Names and addresses of staff are no business of Redis'."""
    return salted_hmac("pipeline.web.login", text).hexdigest()


def _too_many() -> str:
    return ngettext(
        "Too many attempts to log in. Try again in %(minutes)d minute.",
        "Too many attempts to log in. Try again in %(minutes)d minutes.",
        MINUTES,
    ) % {"minutes": MINUTES}
