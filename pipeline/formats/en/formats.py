"""Day before month by name, so that nobody takes one for the other; times to the second and with their zone."""

DATE_FORMAT = SHORT_DATE_FORMAT = "j M Y"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "j M Y H:i:s e"
TIME_FORMAT = "H:i:s"
