"""Paths of the web process, but for those of `ProbesMiddleware`."""

from django.contrib import admin
from django.urls import path

from pipeline.web.status import status_page
from pipeline.web.webhooks import receive_webhook

handler403 = "pipeline.web.errors.forbidden"
handler404 = "pipeline.web.errors.not_found"

urlpatterns = [
    path("", status_page, name="status"),
    path("admin/", admin.site.urls),
    path("badges/credly/webhook/", receive_webhook, name="webhook"),
    path("badges/credly/webhook/<path:secret>/", receive_webhook, name="webhook"),
]
