# SPDX-License-Identifier: Apache-2.0
"""What a run's folder says becomes a page: numbers by hand, and text from elsewhere stays text."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.learn.record.charts import Line, chart, short, stack, ticks
from omni.myriad.learn.record.compare import groups, write_comparison
from omni.myriad.learn.record.history import Run, find_run, find_runs
from omni.myriad.learn.record.page import clock, number
from omni.myriad.learn.record.report import report, write_report

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}'
COLUMNS = ["epoch", "frames", "seconds", "reward_mean", "physics_seconds", "task_seconds", "policy_seconds"]
COLUMNS += ["update_seconds", "frames_per_second", "episode_length_mean", "learning_rate", "a_loss"]


class Elements(HTMLParser):
    """All tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def make_run(folder: Path, rewards: list[float], seed: int = 1, task: str = "Ant", more: str = "", **about) -> Run:
    folder.mkdir(parents=True)
    rows = [
        [i + 1, 100 * (i + 1), 2.0 * (i + 1), reward, 1.0, 0.25, 0.25, 0.25, 50.0, 10.0, 1e-3, 0.5, 0.1 * i]
        for i, reward in enumerate(rewards)
    ]
    with open(folder / "progress.csv", "w", newline="") as file:
        csv.writer(file).writerows([[*COLUMNS, f"reward/{more or 'alive'}"], *rows])
    (folder / "run.json").write_text(json.dumps({"task": task, "started": f"2026-01-0{seed}", **about}))
    (folder / "config.yaml").write_text(f"seed: {seed}\nexperiment: {folder.name}\ntrain: {{gamma: 0.9}}\n")
    return Run(folder)


def test_text_from_elsewhere_is_never_markup(tmp_path):
    run = make_run(
        tmp_path / "runs" / "a<b", [1.0, 2.0], task=EVIL, more=EVIL, engine=EVIL, git=EVIL,
        versions={EVIL: EVIL}, machine={EVIL: EVIL}, differs={EVIL: [EVIL, EVIL], "bad": 3},
    )  # fmt: skip
    (run.folder / "summary.json").write_text(json.dumps({"status": EVIL, "seed": EVIL, "reward_mean": EVIL}))
    (run.folder / "play.json").write_text(json.dumps({"reward_mean": EVIL, "reward_quantiles": [EVIL], "episodes": []}))
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / '"><script>.pth').write_bytes(b"")
    other = make_run(tmp_path / "runs" / "other", [1.0, 2.0], seed=2)
    pages = [report(run), write_comparison([run, other], tmp_path / "compare")[0].read_text()]
    for text in pages:
        found = Elements(text)
        assert not found.tags & {"script", "img", "iframe", "object", "link", "base", "form"}
        assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("xlink:href",)]
        assert all(value.startswith("./") for name, value in found.attributes if name == "href")
        assert EVIL in found.text, "it is shown as it is"
        assert "default-src 'none'" in text


def test_broken_files_leave_gaps_and_no_error(tmp_path):
    for content in (b"", b"\xff\xfe\x00", b"[1]", b"{", b"a: &a [*a]", b'"x', b"epoch,frames\n1\n1,nan\nx,y\n"):
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name in ("run.json", "summary.json", "play.json", "progress.csv", "config.yaml"):
            (folder / name).write_bytes(content)
        assert "<h1>" in write_report(folder).read_text()
    bomb = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} {{p: *a{i - 1}, q: *a{i - 1}}}" for i in range(1, 40))])
    (folder / "config.yaml").write_text(bomb)
    assert Run(folder).settings == {}


def test_where_the_time_went(tmp_path):
    run = make_run(tmp_path / "a", [1.0, 2.0, 3.0], set_up_seconds=2.75)
    # Three epochs of 1 + 0.25 + 0.25 + 0.25 s; between the ends of first and last 4 s, of which 2 * 1.75 are known.
    text = Elements(report(run)).text
    for part in ("scene and physics 2.75 s (32%)", "physics 3 s (35%)", "update 0.75 s (9%)", "the rest 0.5 s (6%)"):
        assert part in text
    assert "Mean per step over all environments" in text


def test_a_film_is_inside_and_no_link_is_followed(tmp_path):
    run = make_run(tmp_path / "a", [1.0])
    (run.folder / "play.mp4").write_bytes(b"film")
    assert "data:video/mp4;base64,ZmlsbQ==" in report(run)
    (run.folder / "play.mp4").unlink()
    (tmp_path / "secret").write_bytes(b"film")
    (run.folder / "play.mp4").symlink_to(tmp_path / "secret")
    assert "data:video" not in report(run)


def test_a_chart_by_hand():
    figure = str(chart("t", [Line("l", np.array([0.0, 5.0, 10.0]), np.array([0.0, np.nan, 10.0]))], "x", True))
    # From x = 50 to 390 and, with 5 % above, from y = 164 to 8: 10 of 10.5 is at 164 - 156 / 1.05.
    assert 'points="50.0,164.0 390.0,15.4"' in figure
    assert chart("t", [Line("l", np.array([np.nan]), np.array([1.0]))], "x") == ""
    long = chart("t", [Line("l", np.arange(5000.0), np.arange(5000.0))], "x")
    assert str(long).count(",") < 500


def test_numbers_are_short():
    assert ticks(0.0, 10.0, 5) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert ticks(-0.3, 0.4, 4) == pytest.approx([-0.2, 0.0, 0.2, 0.4])
    assert [short(v) for v in (0.0, 0.00012, 12.34, 4200.0, 12_345.0, 3.2e6)] == [
        "0", "1.2e-04", "12.3", "4,200", "12.3 k", "3.2 M",
    ]  # fmt: skip
    assert [number(v) for v in (None, 7, 1234.56, True, "x")] == ["-", "7", "1,234.6", "True", "x"]
    assert [clock(v) for v in (1.25, 61, 3720, None)] == ["1.2 s", "1 min 1 s", "1 h 2 min", "-"]
    assert "a 1 s (25%)" in Elements(str(stack([("a", 1.0), ("b", 3.0), ("c", 0.0)], "s"))).text


def test_runs_that_differ_in_seeds_alone_are_one_line_with_a_band(tmp_path):
    runs = [
        make_run(tmp_path / name, rewards, seed) for name, rewards, seed in (("a", [0.0, 4.0], 1), ("b", [2.0, 8.0], 2))
    ]
    other = make_run(tmp_path / "c", [1.0, 1.0, 1.0], 1)
    (other.folder / "config.yaml").write_text("seed: 1\ntrain: {gamma: 0.8}\n")
    both, alone = groups([*runs, other])
    assert (both.name, alone.name) == ("gamma=0.9 (2 seeds)", "gamma=0.8")
    line = both.line("reward_mean")
    assert line.band is not None and (line.x[0], line.x[-1]) == (100.0, 200.0)
    assert (line.y[0], line.y[-1]) == (1.0, 6.0)
    assert (line.band[0][0], line.band[1][0], line.band[0][-1], line.band[1][-1]) == (0.0, 2.0, 4.0, 8.0)
    assert alone.line("reward_mean").band is None
    html, png = write_comparison([*runs, other], tmp_path / "out" / "compare")
    text = Elements(html.read_text()).text
    assert "train.gamma" in text and "5 ± 1" not in text and "6 ± 2" in text
    assert png.read_bytes()[:4] == b"\x89PNG"


def test_runs_are_found_by_folder_or_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "b", [1.0], 2)
    make_run(tmp_path / "runs" / "a", [1.0], 3)
    assert [run.name for run in find_runs("runs")] == ["b", "a"], "the last started last"
    assert find_run("a", "runs").folder == find_run("runs/a", "runs").folder == Path("runs/a")
    with pytest.raises(MyriadError, match=r"nothing is no run: .* there are b, a"):
        find_run("nothing", "runs")
