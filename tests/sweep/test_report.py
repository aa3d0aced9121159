# SPDX-License-Identifier: Apache-2.0
"""What is said of a sweep's runs, from folders with numbers of which the answer is known."""

import csv
import dataclasses
import json

import matplotlib.image
import pytest

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.sweep.plan import Plan
from omni.myriad.sweep.report import load_runs, rank, report
from omni.myriad.sweep.space import Range

RATE, GAMMA = "train.params.config.learning_rate", "train.params.config.gamma"


def make_plan(**options):
    space = {RATE: Range("loguniform", 1e-4, 1e-2), GAMMA: [0.9, 0.99]}
    chosen = {"metric": "reward_mean", "search": "random", "trials": 3, "seeds": [1, 2], **options}
    return Plan("Cartpole", ["task=Cartpole", "num_envs=16", "wandb_activate=True"], space, chosen, 3, 0, 100, "/", "x")


def write_run(sweep, name, rate, gamma, scores, status="finished", seed=1, **about):
    folder = sweep / name
    folder.mkdir()
    settings = {RATE: rate, GAMMA: gamma, "seed": seed}
    fields = {"trial": name, "settings": settings, "parent": "", "parent_epoch": 0, "checkpoint": "", "failed": ""}
    (folder / "trial.json").write_text(json.dumps(fields | about))
    first = fields["parent_epoch"] if not about else about.get("parent_epoch", 0)
    rows = [[first + i, 100 * (first + i), score] for i, score in enumerate(scores, start=1)]
    with open(folder / "progress.csv", "w", newline="") as file:
        csv.writer(file).writerows([["epoch", "frames", "reward_mean"], *rows])
    if status:
        (folder / "summary.json").write_text(json.dumps({"status": status}))


@pytest.fixture
def sweep(tmp_path):
    write_run(tmp_path, "000", 1e-3, 0.99, ["", 5.0, 10.0], seed=1)
    write_run(tmp_path, "001", 1e-3, 0.99, ["", 5.0, 14.0], seed=2)
    write_run(tmp_path, "002", 2e-4, 0.9, [1.0, 2.0, 13.0], seed=1)
    write_run(tmp_path, "003", 2e-4, 0.9, [1.0, 2.0, 15.0], seed=2)
    write_run(tmp_path, "004", 9e-3, 0.9, [1.0, 99.0], status="interrupted")  # stopped: behind those that ended
    write_run(tmp_path, "005", 8e-3, 0.9, [], status="", failed="it exploded")
    return tmp_path


def test_how_much_is_done_follows_what_ends_a_training():
    plan = make_plan()
    assert [plan.percent(epoch, 0) for epoch in (1.5, 3, 4)] == [50.0, 100.0, 100.0]
    by_frames = dataclasses.replace(plan, epochs=0, frames=10_000)
    assert (by_frames.percent(1, 2500), by_frames.report_every) == (25.0, 2)
    both = dataclasses.replace(by_frames, epochs=300)
    assert (both.percent(150, 2500), both.report_every) == (50.0, 2)


def test_settings_are_ranked_by_the_mean_over_seeds(sweep):
    first, second, third = rank(load_runs(make_plan(), sweep))
    assert [run.folder.name for run in first.runs] == ["002", "003"]
    assert (first.mean, first.spread, first.frames, first.is_whole) == (14.0, pytest.approx(2**0.5), 300.0, True)
    assert (second.mean, second.spread) == (12.0, pytest.approx(8**0.5))
    assert (third.mean, third.spread, third.frames, third.is_whole) == (99.0, 0.0, 200.0, False)


def test_the_report_leaves_files_that_can_be_used(sweep, capsys):
    report(make_plan(), sweep)
    said = capsys.readouterr().out
    assert "005 failed: it exploded" in said
    assert f"train settings={sweep / 'best.yaml'}" in said
    rows = list(csv.reader((sweep / "ranking.csv").read_text().splitlines()))
    assert rows[0] == ["rank", "reward_mean", "deviation", RATE, GAMMA, "frames", "ended", "runs"]
    assert rows[1] == ["1", "14", "1.414", "0.0002", "0.9", "300", "True", "002 003"]
    for name in ("history.png", "parallel.png"):
        assert matplotlib.image.imread(sweep / name).std() > 0.05, f"{name} is empty"
    config = load_config([f"settings={sweep / 'best.yaml'}", "sim_device=cpu"], "train")
    assert (config["task_name"], config["num_envs"], config["wandb_activate"]) == ("Cartpole", 16, False)
    assert config["train"]["params"]["config"]["learning_rate"] == 2e-4
    assert config["train"]["params"]["config"]["gamma"] == 0.9


def test_of_a_population_a_trials_last_run_counts_and_the_lineage_is_drawn(tmp_path):
    write_run(tmp_path, "000", 1e-3, 0.99, [5.0, 6.0, 50.0])
    write_run(tmp_path, "001", 2e-3, 0.99, [4.0], status="interrupted", trial="bad")
    child = {"trial": "bad", "parent": "000", "parent_epoch": 1, "checkpoint": "epoch_1.pth"}
    write_run(tmp_path, "002", 1.2e-3, 0.9, [8.0, 60.0], **child)
    plan = make_plan(search="pbt", seeds=[1])
    first, second = rank(load_runs(plan, tmp_path))
    assert ([run.folder.name for run in first.runs], first.mean) == (["002"], 60.0)
    assert [run.folder.name for run in second.runs] == ["000"]
    report(plan, tmp_path)
    assert matplotlib.image.imread(tmp_path / "lineage.png").std() > 0.05
    assert "lineage.png" in (tmp_path / "best.yaml").read_text()


def test_nothing_to_rank_is_one_line_with_a_cause(tmp_path):
    write_run(tmp_path, "000", 1e-3, 0.9, [], status="", failed="it exploded")
    with pytest.raises(MyriadError, match="came to a score: 000: it exploded"):
        report(make_plan(), tmp_path)
