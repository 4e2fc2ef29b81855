"""What is shown instead of a page that can't be: in the admin's look for staff, else a page that needs nothing.

The page for an error of ours is `500.html`, which Django renders by itself.
"""

from csp.decorators import csp
from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pipeline.web import policy


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """The answer 403; the exception's text is shown to nobody."""
    text = _("Your account does not have the permission. An administrator can give it to you.")
    return _answer(request, 403, _("Not permitted"), text)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """The answer 404; the exception's text is shown to nobody."""
    text = _("There is no such page. The address may be mistyped, or what it was about is deleted.")
    return _answer(request, 404, _("Page not found"), text)


def _answer(request: HttpRequest, status: int, title: Promise, text: Promise) -> HttpResponseBase:
    """Strangers get a page that asks the database for nothing, and the browser neither."""
    context = {"title": title, "text": text}

    @csp(policy.NOTHING)
    def plain(request: HttpRequest) -> HttpResponseBase:
        return render(request, "pipeline/plain.html", context, status=status)

    user = getattr(request, "user", None)
    if user is None or not (user.is_active and user.is_staff):
        return plain(request)
    return render(request, "pipeline/error.html", admin.site.each_context(request) | context, status=status)
