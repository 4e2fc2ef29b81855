"""Learners in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from pipeline.admin import learner_page
from pipeline.admin.links import with_value
from pipeline.admin.privacy import Privacy
from pipeline.admin.readonly import ReadOnly
from pipeline.ledgers.observations import HELD
from pipeline.models import Badge, Learner, Progress, Standing
from pipeline.reports.cases import OF_PROGRESS, case_of


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


@admin.register(Progress)
class ProgressAdmin(ReadOnly, ModelAdmin):
    """Badge progress records."""

    list_display = ("username", "badge_template", "complete", "groups", "badge", "at_credly")
    list_select_related = ("learner", "template")
    list_filter = ("template",)
    search_fields = ("^learner__username", "^learner__email", "=learner__lms_user_id")
    search_help_text = LearnerAdmin.search_help_text
    show_full_result_count = False
    fields = ("learner", "badge_template")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Progress]:
        """With all that tells how far it is."""
        rows: QuerySet[Progress] = super().get_queryset(request)
        return rows.prefetch_related(*OF_PROGRESS)

    @display(description=_("username"), ordering="learner__username")
    def username(self, progress: Progress) -> str:
        """Who; the LMS user id of whom no name is stored."""
        return progress.learner.username or str(progress.learner.lms_user_id)

    @display(description=_("template"), ordering="template__name")
    def badge_template(self, progress: Progress) -> SafeString | str:
        """The template, and for what value of its `per`."""
        return with_value(progress.template, progress.value)

    @display(description=_("complete"), boolean=True)
    def complete(self, progress: Progress) -> bool:
        """Whether the template, as it is configured now, is complete."""
        return case_of(progress).complete

    @display(description=_("groups"))
    def groups(self, progress: Progress) -> str:
        """How many groups hold a fulfilled requirement."""
        case = case_of(progress)
        fulfilled = case.groups - len(case.missing)
        return str(_("{fulfilled} of {all}")).format(fulfilled=fulfilled, all=case.groups)

    @display(description=_("badge"), empty_value="-")
    def badge(self, progress: Progress) -> str | None:
        """What the rules say of the badge of the last cycle."""
        badge = case_of(progress).badge
        return badge.get_standing_display() if badge else None

    @display(description=_("at Credly"), empty_value="-")
    def at_credly(self, progress: Progress) -> str | None:
        """What Credly holds of it."""
        badge = case_of(progress).badge
        return badge.get_credly_state_display() if badge else None

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Progress | None = None, **options: Any
    ) -> HttpResponse:
        """The page of one record: its requirements as on the learner's page."""
        if obj is not None:
            context["progress"] = learner_page.progress_table(case_of(obj))
        page: HttpResponse = super().render_change_form(request, context, *args, obj=obj, **options)
        return page
