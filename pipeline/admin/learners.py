"""Learners in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from pipeline.admin import learner_page
from pipeline.admin.privacy import Privacy
from pipeline.admin.readonly import ReadOnly
from pipeline.ledgers.observations import HELD
from pipeline.models import Badge, Fulfillment, Learner, Progress, Standing


@admin.register(Learner)
class LearnerAdmin(Privacy, ReadOnly, ModelAdmin):
    """Learners, found by what people know of them; the page of one explains their badges."""

    list_display = ("lms_user_id", "username", "email", "name", "active", "badges_held", "retired_at")
    list_display_links = ("lms_user_id", "username")
    list_filter = ("active",)
    search_fields = ("^username", "^email", "=lms_user_id")
    search_help_text = _("Username, e-mail or LMS user id")
    list_before_template = "admin/pipeline/learner/unknown.html"
    show_full_result_count = False
    # Whoever has exactly the username that was looked for comes before those whose names go on.
    ordering = ("username", "lms_user_id")
    fieldsets = (
        (_("Learner"), {"fields": (("lms_user_id", "username"), ("name", "email"), ("active", "retired_at"), "as_of")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Learner]:
        """Learners with the number of badges they hold."""
        held = Badge.objects.filter(learner=OuterRef("pk"), standing=Standing.AWARDED, credly_state__in=HELD)
        counted = Subquery(
            held.order_by().values("learner").annotate(number=Count("pk")).values("number"),
            output_field=IntegerField(),
        )
        learners: QuerySet[Learner] = super().get_queryset(request)
        return learners.annotate(held=Coalesce(counted, 0))

    @display(description=_("badges held"))
    def badges_held(self, learner: Any) -> int:
        """Badges that the rules award and Credly holds."""
        return int(learner.held)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Learner | None = None, **options: Any
    ) -> HttpResponse:
        """The page of one learner."""
        if obj is not None:
            context |= learner_page.context(obj)
        page: HttpResponse = super().render_change_form(request, context, *args, obj=obj, **options)
        return page


class FulfillmentInline(ReadOnly, TabularInline):
    """What decided each requirement."""

    model = Fulfillment

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fulfillment]:
        """With their requirements, which the rows name."""
        rows: QuerySet[Fulfillment] = super().get_queryset(request)
        return rows.select_related("requirement")


@admin.register(Progress)
class ProgressAdmin(ReadOnly, ModelAdmin):
    """Badge progress records."""

    list_display = ("learner", "template")
    list_select_related = ("learner", "template")
    list_filter = ("template",)
    search_fields = ("^learner__username", "^learner__email", "=learner__lms_user_id")
    search_help_text = LearnerAdmin.search_help_text
    show_full_result_count = False
    inlines = (FulfillmentInline,)
