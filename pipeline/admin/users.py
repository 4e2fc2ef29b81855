"""Staff accounts and groups in the admin, in the look of the rest."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from pipeline.admin.wrong_input import ToleratesWrongInput

admin.site.unregister(User)
admin.site.unregister(Group)


class ChangedBySuperusers:
    """Only superusers add, change and delete.  For admin classes.

    Whoever may set a password or a permission can take any: Django's own permissions for that would make their holder a
    superuser in all but name.  Everybody sets their own password on the page for it.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether this member of staff is a superuser."""
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this member of staff is a superuser."""
        return self.has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this member of staff is a superuser."""
        return self.has_add_permission(request)


@admin.register(User)
class UserAdmin(ToleratesWrongInput, ChangedBySuperusers, PlainUserAdmin, ModelAdmin):  # type: ignore[misc]
    """Staff accounts."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "first_name", "last_name", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser", "groups")


@admin.register(Group)
class GroupAdmin(ToleratesWrongInput, ChangedBySuperusers, PlainGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Groups of staff."""
