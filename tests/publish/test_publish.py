# SPDX-License-Identifier: Apache-2.0
"""A policy is published whole: trained, played, exported, filmed and drawn; what it says is what its runs did."""

import csv
import json
import math
import shutil

import pytest

from omni.myriad.app import run_folder, runs
from omni.myriad.app.config import load_config
from omni.myriad.app.schema import Publish
from omni.myriad.deploy.deployment import deploy
from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.policy.runtime import Policy
from omni.myriad.publish import judging, publishing, record


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Publish two short trainings of Cartpole; returns the folder of `policies` and that of the runs."""
    folder = tmp_path_factory.mktemp("published")
    short = ["task=Cartpole", "sim_device=cpu", "num_envs=16", "max_iterations=2", f"train_dir={folder / 'runs'}"]
    asked = Publish(seeds=(3, 4), episodes=20, goal=5.0, output=str(folder / "policies" / "Cartpole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "call", in_this_process)
        patch.setattr(runs, "FILM_SECONDS", 0.1)
        publishing.publish(load_config(short, "publish"), asked, short)
    return folder


def in_this_process(verb, *arguments):
    """Run a verb without the seconds that another process takes to start."""
    getattr(runs, verb)(load_config(arguments, verb))


def test_all_files_are_there_and_the_summary_says_what_the_runs_did(published):
    folder = published / "policies" / "Cartpole"
    assert sorted(file.name for file in folder.iterdir()) == sorted(record.FILES)
    about = json.loads((folder / "summary.json").read_text())
    assert [seed["seed"] for seed in about["seeds"]] == [3, 4] and about["goal"] == 5.0
    for seed in about["seeds"]:
        (run,) = (published / "runs").glob(f"*_seed{seed['seed']}")
        play, summary = (json.loads((run / f"{name}.json").read_text()) for name in ("play", "summary"))
        assert play["episodes"] == 20 and seed["reward_mean"] == play["reward_mean"]
        assert seed["frames"] == summary["frames"] == 2 * 16 * 16
        rows = list(csv.DictReader((run / "progress.csv").open()))
        at = [float(row["seconds"]) for row in rows if row["reward_mean"] and float(row["reward_mean"]) >= 5.0]
        assert seed["seconds_to_goal"] == (at[0] if at else None)
    rewards = [seed["reward_mean"] for seed in about["seeds"]]
    assert about["median"]["reward_mean"] == pytest.approx(sum(rewards) / 2)
    assert about["policy"].startswith(f"seed {about['seeds'][rewards.index(min(rewards))]['seed']},")
    assert about["machine"]["device"] == "cpu" and "torch" in about["versions"]
    assert all((folder / name).stat().st_size > 1000 for name in record.FILES if name != "summary.json")


def test_the_policy_is_that_of_the_checkpoint_and_finds_it_beside_itself(published, capsys):
    file = published / "policies" / "Cartpole" / "policy.onnx"
    assert Policy(file).metadata["run"]["checkpoint"] == "checkpoint.pth"
    report = deploy(load_config(["engine=physx", "episodes=2", "video=False"]), file)
    trainer, batched, _ = report.rows
    assert trainer.where == "trainer" and batched.rewards == pytest.approx(trainer.rewards, rel=1e-3)
    shutil.rmtree(report.folder)


def test_pretrained_is_the_one_that_ships(published, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(run_folder, "data_folder", lambda name: published / name)
    config = ["task=Cartpole", "sim_device=cpu", "num_envs=4", "checkpoint=pretrained", f"train_dir={tmp_path}"]
    played = runs.play(load_config([*config, "episodes=4"], "play"))
    assert played["checkpoint"] == str(published / "policies/Cartpole/checkpoint.pth")
    assert (tmp_path / "pretrained_Cartpole" / "play.json").is_file(), "nothing is written where policies ship"
    with pytest.raises(MyriadError, match="No policy of Ant ships; there are some for: Cartpole"):
        runs.play(load_config(["task=Ant", *config[1:]], "play"))
    with pytest.raises(MyriadError, match="pretrained"):
        runs.train(load_config([*config, "max_iterations=3"], "train"))


def test_runs_that_are_finished_are_taken_and_others_refused(published, tmp_path):
    config = load_config(["task=Cartpole", "sim_device=cpu", f"train_dir={published / 'runs'}"], "publish")
    names = sorted(run.name for run in (published / "runs").iterdir())
    assert [publishing._run_dir(name, config).name for name in names] == names
    with pytest.raises(MyriadError, match=r"is no finished run of Ant: give the names of some of its runs"):
        publishing._run_dir(names[0], config | {"task_name": "Ant"})


def test_a_checkpoint_that_is_too_large_goes_without_its_optimiser(published, monkeypatch, tmp_path):
    (run, _) = sorted((published / "runs").iterdir())
    best = run_folder.find_checkpoint(str(run), "best")
    assert "optimizer" in checkpoint.load(best)
    whole = len(best.read_bytes())
    monkeypatch.setattr(publishing, "MOST_BYTES", whole - 1)
    state = publishing.small(best, tmp_path / "small.pth")
    assert "optimizer" not in state and (tmp_path / "small.pth").stat().st_size < 0.6 * whole
    resumed = ["task=Cartpole", "sim_device=cpu", "num_envs=4", f"checkpoint={tmp_path / 'small.pth'}"]
    with pytest.raises(MyriadError, match="has no optimiser: it is there to be played"):
        runs.train(load_config([*resumed, "max_iterations=3", f"train_dir={tmp_path}"], "train"))


def numbers(*rewards, seconds=()):
    return [
        {"seed": k, "reward_mean": reward, "seconds_to_goal": second, "engine": "x"}
        for k, (reward, second) in enumerate(zip(rewards, seconds or [1.0] * len(rewards), strict=True))
    ]


def test_medians_by_hand():
    assert record.median_of(numbers(3.0, 9.0, 5.0)) == 2 and record.median_of(numbers(4.0, 2.0)) == 1
    found = record.medians(numbers(3.0, 9.0, 5.0, seconds=[None, 4.0, 2.0]))
    assert found == {"reward_mean": 5.0, "seconds_to_goal": 4.0}, "a goal that was missed counts as later than all"
    assert record.medians(numbers(3.0, 9.0, 5.0, seconds=[None, None, 2.0]))["seconds_to_goal"] is None
    points = [(10.0, 1.5, 3.0), (20.0, 2.5, 7.0), (30.0, 3.5, 6.0), (40.0, 4.5, 8.0)]
    assert record.seconds_to(6.5, points) == 2.5 and record.seconds_to(8.5, points) is None
    assert record.seconds_to(None, points) is None


def test_goals_are_those_of_the_bands():
    pytest.importorskip("tomllib")
    assert record.goal_of("Ant") == 3000 and record.goal_of("NoTask") is None


# -- what ships -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", judging.published())
def test_what_ships_is_small_whole_and_of_one_piece(task):
    folder = judging.published()[task]
    sizes = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    assert {*record.FILES} <= {*sizes} and max(sizes.values()) <= publishing.MOST_BYTES
    about = json.loads((folder / "summary.json").read_text())
    assert about["task"] == task and all(seed["episodes"] >= 1000 for seed in about["seeds"])
    for name, value in record.medians(about["seeds"]).items():
        assert value is None or math.isclose(about["median"][name], value)
    text = "".join(file.read_text() for file in folder.glob("*.json"))
    assert not any(place in text for place in ("/tmp/", "/home/", "/root/")), "nobody's machine"
    state = checkpoint.load(folder / "checkpoint.pth")
    assert state["myriad"]["task"] == task and "rollout" not in state
    meta = Policy(folder / "policy.onnx").metadata
    assert meta["task"]["name"] == task and deployed_from(meta, folder)


def deployed_from(meta, folder):
    import hashlib

    return meta["run"]["checkpoint_sha256"] == hashlib.sha256((folder / "checkpoint.pth").read_bytes()).hexdigest()


def test_the_page_is_what_the_folders_say():
    assert judging.page(judging.PAGE.read_text()) == judging.PAGE.read_text()
