"""The examples of `docs/badge-file.md`."""

import re
from typing import Any

import yaml

from pipeline.embedded.system import PROJECT

PAGE = (PROJECT / "docs" / "badge-file.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
"""Each a whole file, or a part of one: a template's fields, or its requirements."""


def template_fields(example: Any) -> dict[str, Any]:
    """The fields of the first template that an example is about."""
    if isinstance(example, list):
        return {"requirements": example}
    return dict(example["templates"][0] if "version" in example else example)


def example_of(requirement: str) -> dict[str, Any]:
    """The fields of the last example that begins with the requirement of this id.  Raises StopIteration for none."""
    fields = map(template_fields, reversed(EXAMPLES))
    return next(each for each in fields if each["requirements"][0]["id"] == requirement)
