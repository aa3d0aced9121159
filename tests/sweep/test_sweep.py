# SPDX-License-Identifier: Apache-2.0
"""Sweeps by a real Ray on this machine, of real trainings; what is killed goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.places import ROOT, child_environment
from omni.myriad.sweep import sweep
from omni.myriad.sweep.plan import Plan
from omni.myriad.sweep.training import About, read_progress, runs

TINY = ["task=Cartpole", "num_envs=16", "sim_device=cpu", "train.params.config.horizon_length=8"]
GAMMA, RATE = "train.params.config.gamma", "train.params.config.learning_rate"
EPOCHS = 8


def wait(until: Callable[[], bool], seconds: float = 1000.0) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def pid_of(run: Path) -> int:
    """Return the process that trains in a run's folder, which is written into its lock."""
    return int((run / ".lock").read_text())


def begun(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "omni.myriad", "sweep", *arguments],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_setting_is_trained_with_every_seed_ranked_and_survives_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "seeds"
    where = [f"train_dir={tmp_path}", "experiment=seeds"]

    def kill() -> None:
        wait((folder / "000" / "checkpoints" / "epoch_2.pth").exists)
        os.kill(pid_of(folder / "000"), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    drawn = ["trials=1", "sweep.gamma=uniform(0.5,0.99)", "seeds=1,2", f"max_iterations={EPOCHS}", "save_every=1"]
    sweep.run([*TINY, *where, *drawn])
    killer.join()

    # One draw with both seeds, each in an ordinary run's folder.
    abouts = [about.settings for _, about in runs(folder)]
    (gamma,) = {settings[GAMMA] for settings in abouts}
    assert 0.5 <= gamma <= 0.99 and {settings["seed"] for settings in abouts} == {1, 2}
    for run, about in runs(folder):
        assert json.loads((run / "summary.json").read_text())["status"] == "finished"
        written = (run / "config.yaml").read_text()
        assert f"gamma: {about.settings[GAMMA]}\n" in written
        assert f"seed: {about.settings['seed']}\n" in written

    # The one that was killed went on from its checkpoint.
    said = (folder / "000" / "console.log").read_text()
    assert said.count("Run folder:") == 2
    assert [row["epoch"] for row in read_progress(folder / "000")] == list(range(1, EPOCHS + 1))
    assert "epoch 1/" in said.split("Run folder:")[1]
    assert "epoch 1/" not in said.split("Run folder:")[2]

    # The best can be trained.
    rows = list(csv.DictReader((folder / "ranking.csv").read_text().splitlines()))
    last = [read_progress(run)[-1]["reward_mean"] for run, _ in runs(folder)]
    assert [float(row["reward_mean"]) for row in rows] == [pytest.approx(sum(last) / 2, rel=1e-4)]
    config = load_config([f"settings={folder / 'best.yaml'}"], "train")
    assert config["train"]["params"]["config"]["gamma"] == float(rows[0][GAMMA]) == gamma
    assert (config["num_envs"], config["max_iterations"]) == (16, EPOCHS)

    # A folder is swept once.
    with pytest.raises(MyriadError, match="already holds a sweep or a run"):
        sweep.run([*TINY, *where, "sweep.gamma=[0.9]"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["sweep.gamma=0.9"], "sweep.gamma=0.9 is invalid: it must be a list"),
        (["sweep.gamma=[0.9]", "trials=0"], "trials=0 is invalid: it must be a whole number, at least 1"),
        (["sweep.gamma=[0.9]", "search=luck"], "search=luck is invalid: choose one of random, grid, optuna, pbt"),
        (
            ["sweep.gamma=[0.9]", "gpu_per_trial=-1"],
            "gpu_per_trial=-1.0 is invalid: it must be a number, at least 0, or empty",
        ),
        (["sweep.gamma=[0.9]", "gpus=2"], "gpus=2: sweep does not take it; it understands task, "),
        (["sweep.gamma=uniform(0.9,1)", "search=grid"], "is a range, and search=grid takes lists"),
        (["search=optuna"], "Nothing to try: give settings such as sweep.learning_rate"),
        (["sweep.seed=[1,2]", "seeds=1,2"], "two words for one thing"),
        (["sweep.gamma=[0.9]", "search=pbt", "asha=True"], "asha=True is invalid with search=pbt"),
        (["sweep.gamma=[0.9]", "search=pbt", "trials=1"], "a population has two members at least"),
        (["sweep.train.params.network.mlp.units=[[8,8]]", "search=pbt"], "cannot change while training"),
        (["sweep.learning_rate=[1e-3]", "search=pbt", "learner=sb3"], "needs learner=rl_games"),
        (["resume=/nowhere"], "/nowhere holds no sweep: expected /nowhere/sweep.json"),
        (["resume=/nowhere", "trials=3"], "trials=3 is invalid with resume="),
        (["settings=/nowhere.yaml"], "settings=/nowhere.yaml cannot be read"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_starts(
    arguments: list[str], complaint: str, tmp_path: Path
) -> None:
    own = [] if "resume" in arguments[0] else [*TINY, f"train_dir={tmp_path}"]
    with pytest.raises(MyriadError) as error:
        sweep.run([*own, *arguments])
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
    assert not [*tmp_path.iterdir()]


def test_a_sweep_is_a_group_and_reads_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cartpole.yaml"
    file.write_text(
        "task: Cartpole\nsim_device: cpu\nwandb_activate: true\ntrials: 5\nseeds: [3, 4]\n"
        "sweep:\n  learning_rate: loguniform(1e-4, 1e-2)\n  gamma: [0.97, 0.99]\n"
    )
    plans: list[Plan] = []
    monkeypatch.setattr(sweep, "_try", lambda plan, folder, resume: plans.append(Plan.read(folder)))
    sweep.run([f"settings={file}", "trials=7", f"train_dir={tmp_path}", "experiment=mine"])
    (plan,) = plans
    assert (plan.options["trials"], plan.options["seeds"], [*plan.space]) == (7, [3, 4], [RATE, GAMMA])
    assert "wandb_group=mine" in plan.settings
    assert load_config(plan.settings, "train")["wandb_group"] == "mine"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:9", "ray_address=127.0.0.1:9 cannot be reached: "),
        ("no-such-machine.invalid:6379", "ray_address=no-such-machine.invalid:6379 cannot be reached: "),
        ("first-machine", "ray_address=first-machine is invalid: it must be auto or HOST:PORT"),
        ("ray://127.0.0.1:10001", "is invalid: it must be auto or HOST:PORT"),
    ],
)
def test_ray_that_is_not_there_is_one_line(address: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(MyriadError) as error:
        sweep.run([*TINY, f"train_dir={tmp_path}", "sweep.gamma=[0.9]", f"ray_address={address}"])
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_was_ended_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    settings = [*TINY, f"train_dir={tmp_path}", "experiment=s", "sweep.gamma=[0.9,0.95,0.99]", "trials=3"]
    process = begun(*settings, "max_iterations=60", "save_every=1", "search=optuna")
    wait((folder / "000" / "checkpoints" / "epoch_5.pth").exists)
    wait(lambda: bool(list((folder / "ray").glob("experiment_state*"))))
    trainer = pid_of(folder / "000")
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)  # all that belongs to it, as Slurm does
    said, _ = process.communicate(timeout=120)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    if number == signal.SIGTERM:
        assert said.strip().endswith(f"Interrupted. go on with ./myriad sweep resume={folder}"), said
        assert json.loads((folder / "000" / "summary.json").read_text())["status"] == "interrupted"
    wait(lambda: not Path(f"/proc/{trainer}").exists(), 30.0)  # nothing outlives a sweep
    again = begun(f"resume={folder}")
    said, _ = again.communicate(timeout=400)
    assert again.returncode == 0, said
    finished = [
        run for run, _ in runs(folder) if json.loads((run / "summary.json").read_text())["status"] == "finished"
    ]
    assert len(finished) >= 3
    assert (folder / "000" / "console.log").read_text().count("Run folder:") == 2
    assert [row["epoch"] for row in read_progress(folder / "000")] == list(range(1, 61))


@pytest.mark.nightly
def test_trials_of_a_node_that_is_killed_go_on_on_another(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = child_environment()["PYTHONPATH"]
    cluster = Cluster()
    first = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    second = cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    assert first != second
    try:
        folder = tmp_path / "s"
        settings = [*TINY, f"train_dir={tmp_path}", "experiment=s", "sweep.gamma=[0.9,0.95]", "trials=2"]
        address = f"ray_address={cluster.address}"
        process = begun(*settings, "search=grid", "max_iterations=60", "save_every=1", address)
        wait(lambda: all((folder / name / "checkpoints" / "epoch_5.pth").exists() for name in ("000", "001")))
        cluster.remove_node(second, allow_graceful=False)
        said, _ = process.communicate(timeout=400)
        assert process.returncode == 0, said
    finally:
        cluster.shutdown()
    starts = [(run / "console.log").read_text().count("Run folder:") for run, _ in runs(folder)]
    assert sorted(starts) == [1, 2]
    for run, _ in runs(folder):
        assert [row["epoch"] for row in read_progress(run)] == list(range(1, 61))


@pytest.mark.nightly
def test_a_population_takes_over_weights_and_settings(tmp_path: Path) -> None:
    rates = [1e-5, 1e-2]
    sweep.run(
        [
            *TINY, f"train_dir={tmp_path}", "experiment=p", "search=pbt", "trials=2", "max_iterations=40",
            "exploit_every=25", "sweep.learning_rate=loguniform(1e-5,1e-2)", "train.params.config.lr_schedule=constant",
        ]
    )  # fmt: skip
    folder = tmp_path / "p"
    found: dict[str, tuple[Path, About]] = {run.name: (run, about) for run, about in runs(folder)}
    children = [(run, about) for run, about in found.values() if about.parent]
    assert children, "nobody took over from anybody"
    for run, about in children:
        parent, _ = found[about.parent]
        assert Path(about.checkpoint) == parent / "checkpoints" / f"epoch_{about.parent_epoch}.pth"
        assert about.parent_epoch % 10 == 0
        rows = read_progress(run)
        assert rows[0]["epoch"] == about.parent_epoch + 1
        assert rates[0] <= about.settings[RATE] <= rates[1]
        assert rows[0]["learning_rate"] == pytest.approx(about.settings[RATE])
        assert about.settings[RATE] != found[about.parent][1].settings[RATE]
    assert (folder / "lineage.png").exists()


@pytest.mark.nightly
def test_poor_trainings_are_stopped(tmp_path: Path) -> None:
    settings = [*TINY, f"train_dir={tmp_path}", "experiment=a", "search=optuna", "asha=True", "trials=6", "grace=20"]
    sweep.run([*settings, "reduction=2", "max_iterations=20", "sweep.learning_rate=loguniform(1e-5,1e-2)"])
    lengths = [len(read_progress(run)) for run, _ in runs(tmp_path / "a")]
    assert len(lengths) == 6 and max(lengths) == 20 and min(lengths) < 20, lengths
