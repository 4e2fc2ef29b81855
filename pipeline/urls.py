"""Paths of the web process."""

from django.contrib import admin
from django.urls import path

from pipeline.web.probes import healthz, readyz
from pipeline.web.status import status_page

urlpatterns = [
    path("", status_page, name="status"),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
]
