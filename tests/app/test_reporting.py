# SPDX-License-Identifier: Apache-2.0
"""The verbs that look at runs, and tables that are shown whole."""

import io
import re

import pytest
from rich.console import Console
from rich.table import Table

from omni.myriad.app import reporting
from omni.myriad.app.tables import print_table, show_table
from tests.learn.record.test_report import make_run


@pytest.fixture
def ended(capsys, tmp_path, monkeypatch):
    """Call a verb in a folder with two runs, and return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "one", [1.0, 2.0], 1)
    make_run(tmp_path / "runs" / "two", [2.0, 3.0], 2, task="Cartpole")

    def call(verb, *arguments):
        with pytest.raises(SystemExit) as ending:
            verb(arguments)
        captured = capsys.readouterr()
        return ending.value.code, captured.out, captured.err

    return call


def test_runs_lists_them(ended):
    code, out, _ = ended(reporting.list_runs)
    assert code == 0 and out.index("one") < out.index("two") and "unfinished" in out
    assert "2 runs in runs" in out
    out = ended(reporting.list_runs, "Ant")[1]
    assert "two" not in out and "1 run in runs" in out
    assert ended(reporting.list_runs, "Cow")[2] == "Error: There are no runs of Cow below runs/.\n"
    assert "./myriad runs [Ant]" in ended(reporting.list_runs, "--help")[1]


def test_report_and_compare_write_their_files(ended, tmp_path):
    code, out, _ = ended(reporting.write_reports, "one")
    assert (code, out) == (0, "Report: runs/one/report.html\n") and (tmp_path / "runs/one/report.html").exists()
    code, out, _ = ended(reporting.compare, "one", "two", "output=here")
    assert code == 0 and (tmp_path / "here.html").exists() and (tmp_path / "here.png").exists()
    assert ended(reporting.compare, "one")[2].startswith("Error: Give two runs or more")
    assert ended(reporting.write_reports)[2].startswith("Error: Give a run")
    assert ended(reporting.write_reports, "none")[2].startswith("Error: none is no run")


def test_no_text_is_cut_off_and_none_is_taken_for_markup(capsys):
    print_table("a title", ("", "numbers"), [("x" * 70 + "[red]", "1" * 60)])
    assert "x" * 70 + "[red]" in capsys.readouterr().out and "1" * 60 not in "…"
    narrow = Console(file=io.StringIO(), force_terminal=True, width=40, color_system=None)
    table = Table("name")
    table.add_row("y" * 60)
    show_table(table, narrow)
    text = narrow.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("y") == 60 and "…" not in text


def test_columns_that_find_no_room_come_again_below_and_no_word_is_folded(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    monkeypatch.setenv("COLUMNS", "40")
    print_table(
        "runs", ("", "reward", "interrupted", "training"), [("a_long_name_of_a_run", "1,013.8", "yes", "3 min 6 s")]
    )
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 40
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert rows == [
        ["a_long_name_of_a_run", "1,013.8"],
        ["a_long_name_of_a_run", "yes"],
        ["a_long_name_of_a_run", "3 min 6 s"],
    ]
