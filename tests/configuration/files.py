"""Configuration files as tests write them: the example of the outward contract, and ways to change it."""

import copy
from typing import Any
from uuid import UUID

import yaml

from pipeline.configuration.difference import Change
from pipeline.configuration.document import read_document
from pipeline.configuration.entries import Document, Known
from pipeline.configuration.importing import import_configuration
from pipeline.configuration.places import DocumentError

ORGANIZATION = UUID("7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02")
TEMPLATE = UUID("3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21")
COURSE_EVENT = "org.openedx.learning.course.passing.status.updated.v1"
CCX_EVENT = "org.openedx.learning.ccx.course.passing.status.updated.v1"

EXAMPLE = """\
version: 1
organizations:
  - uuid: 7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02
    name: Example Academy            # optional, filled by sync
    api_key: env:CREDLY_API_KEY      # env:NAME or literal; export writes env:... and never a secret
templates:
  - uuid: 3b0f2c6a-1a6e-4f29-8d53-7f0c3a5f9e21   # Credly badge template id
    organization: 7d1b0f5e-2a44-4c0f-8e0c-5b1d8f6c9a02
    name: Intro Course
    active: true
    requirements:
      - id: demo-course              # stable name, unique in the template
        event_type: org.openedx.learning.course.passing.status.updated.v1
        group: A                     # same letter: any one; different letters: all
        description: On the Demo course completion.
        rules:
          - {data_path: is_passing, operator: eq, value: "true"}
          - {data_path: course.course_key, operator: eq, value: "course-v1:OpenedX+DemoX+Demo_Course"}
    penalties:
      - id: demo-course-failed
        event_type: org.openedx.learning.course.passing.status.updated.v1
        requirements: [demo-course]
        rules:
          - {data_path: is_passing, operator: eq, value: "false"}
          - {data_path: course.course_key, operator: eq, value: "course-v1:OpenedX+DemoX+Demo_Course"}
"""


def example() -> dict[str, Any]:
    """The example as data to change."""
    return copy.deepcopy(dict(yaml.safe_load(EXAMPLE)))


def read(text: str, *, known: tuple[UUID, ...] = ()) -> Document:
    return read_document(text.encode(), "badges.yaml", Known(organizations=known))


def problems(text: str) -> list[str]:
    """The lines that say why a file is refused; none when it is not."""
    try:
        read(text)
    except DocumentError as error:
        return str(error).splitlines()
    return []


def imported(data: dict[str, Any] | str, *, dry_run: bool = False) -> list[Change]:
    text = data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False)
    return import_configuration(text.encode(), "badges.yaml", dry_run=dry_run).changes


def lines(changes: list[Change]) -> list[str]:
    return [str(change) for change in changes]
