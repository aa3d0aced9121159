# SPDX-License-Identifier: Apache-2.0
"""Tables and plots from results; the committed page is what its results render to."""

from pathlib import Path

import pytest

from omni.myriad.benchmark import report, results
from omni.myriad.errors import MyriadError

DOCS = Path(__file__).parents[2] / "docs"


def table(found, title):
    return next(table for table in report.tables([found]) if table.title == title)


def test_the_committed_page_is_what_its_results_say():
    page = DOCS / "benchmarks.md"
    assert report.rendered(page.read_text(), page.with_suffix("")) == page.read_text()


def test_throughput_compares_environments_with_the_bare_loop(full):
    assert table(full, "How fast is it, and how does it grow?").rows[1] == (
        "256", "512.0 k ±0%", "384.0 k ±0%", "75%", "1.0 k ±10%", "0.5 GiB"
    )  # fmt: skip


def test_others_are_compared_where_they_can_be(full):
    rows = {(row[0], row[1]): row[2:] for row in table(full, "Against whom, in the same run?").rows}
    assert rows["stock rl-games", "64"] == ("500.0 ±0% frames/s", "training at 64: 2.00 times")
    # gymnasium is not measured by num_envs: the fastest of ours stands against it
    assert rows["gymnasium Ant-v5", "one way"] == ("96.0 k ±0% environment steps/s", "environment at 256: 4.00 times")
    assert rows["gymnasium Ant-v5", "another"][1] == "environment at 256: 8.00 times"
    assert rows["mjlab Go1, flat", ""] == ("not installed: pip install mjlab", "")
    assert any(
        note.startswith("gymnasium Ant-v5: Always on the CPU")
        for note in table(full, "Against whom, in the same run?").notes
    )
    full["machine"]["device"] = "cuda"
    rows = {(row[0], row[1]): row[2:] for row in table(full, "Against whom, in the same run?").rows}
    assert rows["gymnasium Ant-v5", "one way"][1] == "", "a GPU is not compared with a CPU"
    assert rows["stock rl-games", "64"][1]


def test_rewards_that_were_not_reached_are_said(full):
    assert table(full, "How soon does it learn?").rows == [
        ("3,000", "9.0 s", "1, 2, 3", "7.0, 9.0, never"),
        ("5,900", "never", "1, 2, 3", "never, never, never"),
    ]


def test_nothing_measured_makes_no_tables(empty):
    assert report.tables([empty()]) == []


def test_phases_and_starts_have_a_column_each(full):
    assert table(full, "Where does the time go?").rows[0] == (*("64", "environment", "75%", "25%", "", "", "", ""),)
    starts = table(full, "How long does it take to start?")
    assert starts.header == ("num_envs", "start-up", "imports", "engine")
    assert starts.rows[0] == ("64", "4.00 s ±25%", "1.0", "3.0")


def test_rows_of_several_files_say_whose_they_are(full, empty):
    other = empty("Cartpole")
    results.add(other, "env", {**full["by_num_envs"]["64"]["env"], "engine": "newton 1", "num_envs": 64})
    first, *_ = report.tables([full, other])
    assert [row[:2] for row in first.rows] == [
        ("Ant, PhysX, 2 cores", "64"),
        ("Ant, PhysX, 2 cores", "256"),
        ("Cartpole, Newton, None cores", "64"),
    ]


def test_a_page_gets_tables_and_plots_between_its_marks_and_keeps_the_rest(full, tmp_path):
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Speed\n{report.BEGIN}\nold\n{report.END}\nrest\n")
    results.save(full, tmp_path / "benchmarks" / "ant-cpu.json")
    report.render(page)
    text = page.read_text()
    assert (
        text.startswith(f"# Speed\n{report.BEGIN}\n") and text.endswith(f"{report.END}\nrest\n") and "old" not in text
    )
    assert "**Ant, PhysX, 2 cores**" in text and "commit abcdef012345: `./myriad benchmark`" in text
    full["commands"][0]["git"] += "-dirty"
    results.save(full, tmp_path / "benchmarks" / "ant-cpu.json")
    assert "abcdef012345 with edits" in report.rendered(text, tmp_path / "benchmarks")
    full["commands"][0]["git"] = full["commands"][0]["git"].removesuffix("-dirty")
    results.save(full, tmp_path / "benchmarks" / "ant-cpu.json")
    assert "| 256 | 512.0 k ±0% |" in text
    for kind in ("throughput", "phases", "others", "learning"):
        assert (tmp_path / "benchmarks" / f"benchmarks-{kind}.png").stat().st_size > 1000
        assert f"(benchmarks/benchmarks-{kind}.png)" in text
    report.render(page)
    assert page.read_text() == text
    results.save(full | {"left_out": ["train 64"]}, tmp_path / "benchmarks" / "ant-cpu.json")
    assert report.rendered(text, tmp_path / "benchmarks") != text, "a page that drifts from its results is noticed"


def test_a_page_without_results_says_so(tmp_path):
    assert report.NOTHING in report.rendered(f"{report.BEGIN}{report.END}", tmp_path)


def test_a_page_without_marks_is_refused(tmp_path):
    with pytest.raises(MyriadError, match="has no place for tables"):
        report.rendered("# Speed\n", tmp_path)
    with pytest.raises(MyriadError, match="does not exist"):
        report.render(tmp_path / "none.md")
