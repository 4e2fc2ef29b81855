"""What a rule's value must look like at a key path of a type, or no event would ever match; other types take any text."""

import re
from collections.abc import Callable, Mapping

from pipeline.rules import parse_boolean


def _is_boolean(text: str) -> bool:
    return parse_boolean(text) is not None


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]*", text) is not None


_FITS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "boolean": (_is_boolean, "true True yes Yes +, false False no No -"),
    "integer": (_is_integer, "a whole number such as 25"),
}


def allowed_instead(type_word: str, text: str) -> str | None:
    """What is allowed at a key path of this type, in words, if the text does not fit it; None if it does.

    Args:
        type_word: the type's word in `bus.catalogue.key_paths`.
        text: a rule's value.
    """
    fits, allowed = _FITS.get(type_word, (None, ""))
    return None if fits is None or fits(text) else allowed
