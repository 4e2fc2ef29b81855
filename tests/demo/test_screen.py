from io import StringIO

from rich.console import Console

from pipeline.demo.screen import Screen


def test_the_table_shows_what_was_expected_and_what_was_found() -> None:
    output = StringIO()
    Screen(Console(file=output, width=100), {}).table([("Badges issued", 12, 11)], {"Time taken": "9 s"})
    [row] = [line for line in output.getvalue().splitlines() if "Badges issued" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["Badges issued", "12", "11"]
    assert "9 s" in output.getvalue()


def test_a_number_that_differs_stands_out() -> None:
    output = StringIO()
    screen = Screen(Console(file=output, width=100, force_terminal=True, color_system="standard", no_color=False), {})
    screen.table([("one", 1, 1), ("two", 2, 3)], {})
    one, two = (next(line for line in output.getvalue().splitlines() if title in line) for title in ("one", "two"))
    assert "\x1b[32m" in one
    assert "\x1b[1;31m" in two


def test_without_a_terminal_there_is_plain_text() -> None:
    output = StringIO()
    with Screen(Console(file=output), {"Badges": 3}) as screen:
        screen.say("Phase 1")
        screen.show({"Badges": 2})
    assert output.getvalue() == "Phase 1\n"
