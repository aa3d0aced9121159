# SPDX-License-Identifier: Apache-2.0
"""Whole runs as people start them: what they leave behind, how they end, what bad input says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from omni.myriad.app import cli, runs

ROOT = Path(__file__).parents[2]
SHORT = ["task=Cartpole", "sim_device=cpu", "num_envs=32", "max_iterations=3"]


@pytest.fixture
def start(tmp_path, monkeypatch, capsys):
    """Run an entry point in a scratch folder; returns its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(main, *arguments):
        with pytest.raises(SystemExit) as ended:
            cli.run(main.__name__, main, list(arguments))
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run, shared by the tests that only look at it."""
    folder = tmp_path_factory.mktemp("trained")
    from omni.myriad.app.config import load_config

    config = load_config([*SHORT, "experiment=short", "save_every=2", f"train_dir={folder / 'runs'}"])
    summary = runs.train(config)
    return folder / "runs" / "short", summary


def test_a_run_leaves_what_it_takes_to_understand_and_repeat_it(trained):
    folder, summary = trained
    names = ("config.yaml", "run.json", "summary.json", "curve.png", "progress.csv", "report.html")
    for name in (*names, "checkpoints/last.pth"):
        assert (folder / name).stat().st_size > 0, name
    assert (folder / "checkpoints" / "epoch_2.pth").exists()
    assert list(folder.glob("**/events.out.tfevents*"))
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert summary["frames"] == 3 * 32 * 16
    run = json.loads((folder / "run.json").read_text())
    assert torch.__version__.startswith(run["versions"]["torch"])  # which has "+cu130" at its end, or not
    assert run["engine"].startswith("ovphysx")
    assert run["differs"] == {
        "num_envs": [32, None], "max_iterations": [3, None], "save_every": [2, None], "task.env.numEnvs": [32, 512],
    }  # fmt: skip
    assert run["machine"]["cores"] >= 1 and run["set_up_seconds"] > 0


@pytest.mark.parametrize("setting", ["learner=nobody", "train.learner=nobody"])
def test_an_unknown_learner_is_said_before_physics_starts(setting, start, monkeypatch):
    monkeypatch.setattr(runs, "make_env", lambda config: pytest.fail("physics was started"))
    code, _, err = start(runs.train, *SHORT, setting)
    known = "rl_games, rsl_rl, sb3, skrl"
    assert (code, err) == (2, f"Error: train.learner=nobody is unknown; choose one of: {known}.\n")


def test_play_reports_a_table_and_json(trained, start):
    folder, _ = trained
    code, out, err = start(
        runs.play, "task=Cartpole", "sim_device=cpu", "num_envs=8", "episodes=12", f"checkpoint={folder}"
    )
    assert code == 0, err
    assert "12 episodes" in out and "reward" in out
    result = json.loads((folder / "play.json").read_text())
    assert result["episodes"] == 12
    assert result["reward_min"] <= result["reward_mean"] <= result["reward_max"]
    quantiles = result["reward_quantiles"]
    assert len(quantiles) == 21 and quantiles == sorted(quantiles)
    assert (quantiles[0], quantiles[-1]) == (result["reward_min"], result["reward_max"])
    assert "12 episodes, played without exploration" in (folder / "report.html").read_text()


def test_play_takes_the_last_run_of_the_task(trained, start):
    folder, _ = trained
    arguments = ["sim_device=cpu", "num_envs=4", "episodes=4", f"train_dir={folder.parent}"]
    code, _, err = start(runs.play, "task=Cartpole", *arguments)
    assert code == 0, err
    code, _, err = start(runs.play, "task=Ant", *arguments)
    assert code == 2 and err.startswith("Error: No run of Ant below")


def test_the_same_seed_gives_the_same_weights(start, tmp_path):
    weights = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        code, out, err = start(runs.train, *SHORT, f"seed={seed}", f"experiment={name}", "engine.shards=2")
        assert code == 0, err
        assert out.count("pole_velocity") == 1, "the table of terms, at the start"
        weights.append(torch.load(f"runs/{name}/checkpoints/last.pth", weights_only=True)["model"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not all(torch.equal(weights[0][key], weights[2][key]) for key in weights[0])


def test_training_goes_on_from_a_checkpoint(trained, start):
    folder, _ = trained
    more = [*SHORT[:3], "max_iterations=5", "experiment=longer", f"checkpoint={folder}"]
    code, _, err = start(runs.train, *more)
    assert code == 0, err
    assert json.loads(Path("runs/longer/summary.json").read_text())["epochs"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["task=Antt"], "Error: Unknown task 'Antt'; did you mean Ant?"),
        (["num_env=4"], "Error: Unknown key 'num_env'; did you mean num_envs?"),
        (["num_envs=0"], "Error: num_envs=0 is invalid"),
        (["checkpoint=missing.pth"], "Error: checkpoint=missing.pth does not exist"),
        (["checkpoint=truncated.pth"], "truncated.pth"),
        (["checkpoint=empty.pth"], "empty.pth"),
        (["task=Ant", "checkpoint={trained}", "num_envs=4"], "Cartpole"),
        (["train.params.algo.name=sac", "checkpoint={trained}"], "choose one of a2c_continuous, a2c_discrete"),
    ],
)
def test_bad_input_ends_in_one_line_and_code_2(trained, start, tmp_path, arguments, message):
    folder, _ = trained
    (tmp_path / "truncated.pth").write_bytes((folder / "checkpoints/last.pth").read_bytes()[:2000])
    (tmp_path / "empty.pth").write_bytes(b"")
    arguments = [argument.format(trained=folder) for argument in arguments]
    for main in (runs.train, runs.play):
        code, _, err = start(main, "sim_device=cpu", *arguments)
        assert code == 2
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1 and lines[0].startswith("Error: ") and message in lines[0], err


def test_a_task_that_raises_is_named_with_its_line(start, tmp_path):
    source = (ROOT / "tasks" / "classic" / "cartpole.py").read_text().replace("class Cartpole", "class Broken")
    (tmp_path / "broken.py").write_text(source.replace("self.rew_buf[:] =", "self.rew_buf[:] = undefined +"))
    code, _, err = start(runs.train, "task=Broken", f"task.task_path=[{tmp_path}]", "sim_device=cpu", "num_envs=2",
                         "+task.env.resetDist=3.0", "+task.env.maxEffort=400.0")  # fmt: skip
    assert code == 2
    assert "broken.py:" in err and "in calculate_metrics: NameError" in err and len(err.splitlines()) == 1


def test_a_taken_experiment_is_not_overwritten(trained, start):
    folder, _ = trained
    code, _, err = start(runs.train, *SHORT, "experiment=short", f"train_dir={folder.parent}")
    assert code == 2 and "already holds a run" in err


@pytest.mark.parametrize("verb", ["train", "play", "export"])
def test_help_says_how(verb):
    done = subprocess.run([sys.executable, f"{verb}.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and f"./myriad {verb} task=" in done.stdout


_IMPORTS_ELSEWHERE = """
import sys, threading

class Watch:
    elsewhere = []

    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            self.elsewhere.append(name)

sys.meta_path.insert(0, Watch())
from omni.myriad.app import runs
from omni.myriad.app.config import load_config

runs.train(load_config(sys.argv[1:]))
unwanted = [name for name in ("rl_games.torch_runner", "rl_games.envs.test_network") if name in sys.modules]
print("imported", Watch.elsewhere, unwanted)
"""


def test_a_start_imports_on_the_main_thread_alone_and_no_compiler_that_it_does_not_use(tmp_path):
    # Two threads that import native modules can wait for each other for ever: one has the loader, the other Python.
    command = [sys.executable, "-c", _IMPORTS_ELSEWHERE, *SHORT, "num_envs=64", "engine.shards=2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "imported [] []"


def test_seed_minus_one_draws_one():
    assert runs.set_seed(-1) >= 0
    assert runs.set_seed(7) == 7
    first = torch.rand(3)
    runs.set_seed(7)
    assert torch.equal(torch.rand(3), first)
