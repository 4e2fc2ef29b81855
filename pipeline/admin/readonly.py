"""What the pipeline alone writes: to look at in the admin, and to act on through actions, not to change by hand."""

from typing import Any

from django.http import HttpRequest

from pipeline.admin.wrong_input import ToleratesWrongInput


class ReadOnly(ToleratesWrongInput):
    """Nothing can be added, changed or deleted by hand.  For admin classes.

    An action that changes something names the permission `operate`: whoever has Django's permission to change the model
    (the group *Badge operators*) may run it.
    """

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this member of staff may run the actions."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")
