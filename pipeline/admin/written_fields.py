"""Form fields for lengths and limits of time, written as in the configuration file: `90d`, `2026-06-30`."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from pipeline.configuration import spans


class WrittenField(forms.CharField):
    """A value that is read from a text, and written as one; an empty text is None."""

    def __init__(self, *, placeholder: str, **kwargs: Any) -> None:
        widget = UnfoldAdminTextInputWidget({"placeholder": placeholder, "autocomplete": "off"})
        super().__init__(required=False, empty_value=None, widget=widget, **kwargs)

    def to_python(self, value: Any) -> Any:
        """The value that the text writes.

        Raises:
            ValidationError: it writes none.
        """
        text = super().to_python(value)
        try:
            return self.read(text) if text else None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        """The text of a stored value; what was entered as it is."""
        return value if value is None or isinstance(value, str) else self.write(value)

    def read(self, text: str) -> Any:
        """The value of a text; raises ValueError, in words, when it writes none."""
        raise NotImplementedError

    def write(self, value: Any) -> str:
        """The text that `read` makes this value of."""
        raise NotImplementedError

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another value is written, in whatever way."""
        try:
            return bool(self.to_python(data) != initial)
        except forms.ValidationError:
            return True


class LengthField(WrittenField):
    """A length of time."""

    def read(self, text: str) -> timedelta:
        """As the configuration file has it."""
        return spans.duration(text)

    def write(self, value: timedelta) -> str:
        """As the configuration file has it."""
        return spans.written(value)


class StartField(WrittenField):
    """A time from which on something counts."""

    def read(self, text: str) -> datetime:
        """Of a date, its first moment in UTC."""
        return spans.start(text)

    def write(self, value: datetime) -> str:
        """A date, if that says it."""
        return spans.written_start(value)


class EndField(WrittenField):
    """A time before which something counts."""

    def read(self, text: str) -> datetime:
        """Of a date, the first moment after it in UTC: the day counts as a whole."""
        return spans.end(text)

    def write(self, value: datetime) -> str:
        """A date, if that says it."""
        return spans.written_end(value)
