"""What an operator sees of `import_badges` and `export_badges`."""

from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.db import IntegrityError
from django.db.models.signals import pre_save

from pipeline.models import Organization, Requirement, Template
from tests.configuration.files import COURSE_EVENT, EXAMPLE, ORGANIZATION, TEMPLATE

# A command closes its connections at its end, and with them a transaction that a test would be rolled back by.
pytestmark = pytest.mark.django_db(transaction=True)


BACKFILL = [
    "These rules count from now on. What earlier events would change is told by",
    f"  manage.py backfill {TEMPLATE} --dry-run",
]


class Ran:
    """A command run as from a shell: its exit status and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> None:
        self.status: object = 0
        try:
            load_command_class("pipeline", name).run_from_argv(["manage.py", name, *arguments])
        except SystemExit as ended:
            self.status = ended.code
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "badges.yaml"
    path.write_text(EXAMPLE)
    return path


def test_an_import_prints_what_it_does_and_the_second_that_nothing_is_left(
    capsys: pytest.CaptureFixture[str], file: Path
):
    trial = Ran(capsys, "import_badges", str(file), "--dry-run")
    assert (trial.status, trial.err) == (0, "")
    assert trial.out.endswith("Would be: 4 added.\n")
    assert not Template.objects.exists()
    first = Ran(capsys, "import_badges", str(file))
    assert first.out.splitlines() == [
        f'+ organization "Example Academy" ({ORGANIZATION})',
        f'+ template "Intro Course" ({TEMPLATE})',
        "  + requirement demo-course",
        "  + penalty demo-course-failed",
        "Done: 4 added.",
        *BACKFILL,
    ]
    assert Template.objects.exists()
    second = Ran(capsys, "import_badges", str(file))
    assert (second.status, second.out, second.err) == (0, "Nothing to change.\n", "")


def test_an_import_whose_key_is_not_set_here_is_done_with_a_warning(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("CREDLY_API_KEY")
    ran = Ran(capsys, "import_badges", str(file))
    assert ran.status == 0
    assert "Done: 4 added.\n" in ran.out
    assert ran.err == (
        f"Warning: Example Academy ({ORGANIZATION}): The environment variable CREDLY_API_KEY, which holds this "
        "organization's API key, is not set. Its badges wait until then.\n"
    )
    assert Organization.objects.get().api_key == "env:CREDLY_API_KEY"


def test_the_summary_counts_each_sort_of_change(capsys: pytest.CaptureFixture[str], file: Path):
    Ran(capsys, "import_badges", str(file))
    start = EXAMPLE.index("    penalties:")
    file.write_text(EXAMPLE[:start].replace("group: A ", "group: B "))
    assert "Done: 1 changed, 1 removed.\n" in Ran(capsys, "import_badges", str(file)).out


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        ("name: Intro Course", "name: Intro", False),
        ("active: true", "active: false", False),
        ("active: true", "active: true\n    reaward: true", True),
        ("operator: eq", "operator: ne", True),
    ],
)
def test_after_a_change_of_active_rules_the_way_to_count_earlier_events_is_told(
    capsys: pytest.CaptureFixture[str], file: Path, before: str, after: str, is_told: bool
):
    Ran(capsys, "import_badges", str(file))
    file.write_text(EXAMPLE.replace(before, after, 1))
    assert "backfill" not in Ran(capsys, "import_badges", str(file), "--dry-run").out
    changed = Ran(capsys, "import_badges", str(file)).out.splitlines()
    assert "Done: 1 changed." in changed
    assert (changed[-2:] == BACKFILL) is is_told
    assert "backfill" not in Ran(capsys, "import_badges", str(file)).out


def test_an_activated_template_is_told_the_same(capsys: pytest.CaptureFixture[str], file: Path):
    Ran(capsys, "import_badges", str(file))
    Template.objects.update(active=False)
    assert Ran(capsys, "import_badges", str(file)).out.splitlines()[1:] == ["Done: 1 changed.", *BACKFILL]


def test_what_is_worth_a_look_is_a_warning_each_time(capsys: pytest.CaptureFixture[str], file: Path):
    naive = "{data_path: course.start, operator: eq, value: 2026-05-01T00:00:00}"
    file.write_text(EXAMPLE.replace('{data_path: is_passing, operator: eq, value: "true"}', naive))
    for options in (["--dry-run"], [], []):
        ran = Ran(capsys, "import_badges", str(file), *options)
        assert (ran.status, ran.err) == (
            0,
            f"Warning: {file}:17: templates[0].requirements[0].rules[0].value: '2026-05-01T00:00:00' has no time zone and is "
            "taken as '2026-05-01T00:00:00+00:00'.\n",
        )
    assert ran.out == "Nothing to change.\n"


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_each_error_of_a_file_is_a_line_on_standard_error(
    capsys: pytest.CaptureFixture[str], file: Path, option: list[str]
):
    file.write_text(EXAMPLE.replace("operator: eq", "operator: like", 1).replace("group: A ", "group: 1 "))
    ran = Ran(capsys, "import_badges", str(file), *option)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        f"{file}:14: templates[0].requirements[0].group: must be a text, not a number",
        f"{file}:17: templates[0].requirements[0].rules[0].operator: 'like' is not an operator; "
        "allowed: eq, ne, gt, ge, lt, le, in, not_in, contains, starts_with, matches, exists",
    ]
    assert not Organization.objects.exists()


@pytest.mark.parametrize(("name", "reason"), [("none.yaml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, reason: str
):
    ran = Ran(capsys, "import_badges", str(tmp_path / name))
    assert (ran.status, ran.err) == (1, f"CommandError: can't read {tmp_path / name}: {reason}\n")


def test_what_the_database_refuses_is_one_line(capsys: pytest.CaptureFixture[str], file: Path):
    def refuse(**_: object) -> None:
        raise IntegrityError("duplicate key\nDETAIL: of another import")

    pre_save.connect(refuse, sender=Requirement)
    try:
        ran = Ran(capsys, "import_badges", str(file))
    finally:
        pre_save.disconnect(refuse, sender=Requirement)
    reason = "duplicate key DETAIL: of another import"
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == (
        f"CommandError: The database refuses: {reason}. "
        "Check that it runs and that its tables are up to date (manage.py migrate).\n"
    )
    assert not Template.objects.exists()


@pytest.mark.parametrize("command", ["import_badges", "export_badges"])
def test_wrong_usage_ends_with_status_2(capsys: pytest.CaptureFixture[str], command: str):
    assert Ran(capsys, command, "--nonsense").status == 2


def test_an_export_is_printed_or_written_the_same(capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path):
    Ran(capsys, "import_badges", str(file))
    printed = Ran(capsys, "export_badges")
    output = tmp_path / "out.yaml"
    output.write_text("what was there before, and longer than nothing")
    written = Ran(capsys, "export_badges", "--output", str(output))
    assert (written.status, written.out, written.err) == (0, "", "")
    assert output.read_text() == printed.out
    assert COURSE_EVENT in printed.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["badges.yaml", "out.yaml"]
    assert Ran(capsys, "import_badges", str(output)).out == "Nothing to change.\n"


def test_an_export_that_cannot_be_written_is_one_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    folder = tmp_path / "folder"
    folder.mkdir()
    ran = Ran(capsys, "export_badges", "--output", str(folder))
    assert (ran.status, ran.err) == (1, f"CommandError: can't write {folder}: Is a directory\n")
    assert list(tmp_path.iterdir()) == [folder]
    missing = tmp_path / "missing" / "out.yaml"
    ran = Ran(capsys, "export_badges", "--output", str(missing))
    assert (ran.status, ran.err) == (1, f"CommandError: can't write {missing}: No such file or directory\n")
