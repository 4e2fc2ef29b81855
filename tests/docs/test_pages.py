"""What the build of the documentation (`make docs`) does not see: links of the pages beside it, and lists kept by hand."""

import re
from pathlib import Path

import pytest

from pipeline.embedded.system import PROJECT

LINK = re.compile(r"\]\(([^)\s]+)\)")
DECISIONS = PROJECT / "docs" / "decisions"


@pytest.mark.parametrize("page", sorted(PROJECT.glob("*.md")), ids=lambda page: page.name)
def test_the_links_of_a_page_in_the_root_lead_somewhere(page: Path):
    targets = {target.partition("#")[0] for target in LINK.findall(page.read_text()) if "://" not in target}
    assert [target for target in targets if target and not (PROJECT / target).exists()] == []


def test_every_decision_is_listed_under_its_title():
    titles = {file.name: file.read_text().partition("\n")[0].removeprefix("# ") for file in DECISIONS.glob("0*.md")}
    listed = dict(re.findall(r"^- \[(.+)\]\((.+)\)$", (DECISIONS / "index.md").read_text(), re.MULTILINE))
    assert {file: title for title, file in listed.items()} == titles


def test_every_deployment_page_names_commands_that_exist():
    commands = {file.stem for file in (PROJECT / "pipeline" / "management" / "commands").glob("[a-z]*.py")}
    of_django = {"migrate", "createsuperuser", "shell", "check"}
    for page in (PROJECT / "docs" / "deployment").glob("*.md"):
        named = set(re.findall(r"manage\.py ([a-z_]+)", page.read_text()))
        assert named <= commands | of_django, page.name
